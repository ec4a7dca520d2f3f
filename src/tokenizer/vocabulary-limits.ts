/**
 * What a vocabulary from outside may ask for, and the checks that use it.
 */
import { describe, isWhole } from '../checks.ts'
import { FormatError } from '../errors.ts'

/** The largest vocabulary in use has 262,144 pieces. */
export const MAX_PIECES = 1 << 20
/** Llama 3's list has 280,147 merges; a merge makes a piece, in at most a few ways each. */
export const MAX_MERGES = 1 << 22
/** Gemma 3 has 6,415 special and other added tokens. */
export const MAX_ADDED_TOKENS = 1 << 16
/** Runs of spaces are the longest pieces known, at 256 characters. */
export const MAX_PIECE_CHARS = 4096
/** The longest chat templates known, with tools, have 30,000. */
const MAX_TEMPLATE_CHARS = 1 << 18

/** @throws FormatError naming `field` unless the value is a piece's text */
export function checkPiece(value: unknown, field: string, index: number | string): string {
  if (typeof value === 'string' && value.length <= MAX_PIECE_CHARS) return value
  const got = typeof value === 'string' ? `one of ${value.length}` : typeof value
  throw new FormatError(
    `Expected ${field} to hold texts of at most ${MAX_PIECE_CHARS} characters, ` +
      `got ${got} at ${index}. ${DAMAGED}`,
    { field },
  )
}

/** @throws FormatError naming `field` unless 0 <= value < limit */
export function checkId(value: unknown, field: string, limit: number): number {
  if (isWhole(value, 0, limit - 1)) return value
  throw new FormatError(
    `Expected ${field} to be a token id from 0 to ${limit - 1}, got ${describe(value)}. ${DAMAGED}`,
    { field },
  )
}

/** @throws FormatError naming `field` if there are more than `limit` */
export function checkCount(count: number, field: string, limit: number): void {
  if (count <= limit) return
  throw new FormatError(`Expected at most ${limit} entries in ${field}, got ${count}. ${DAMAGED}`, {
    field,
  })
}

/** @throws FormatError naming `field` unless the value is a template's text */
export function checkTemplate(value: unknown, field: string): string {
  if (typeof value === 'string' && value.length <= MAX_TEMPLATE_CHARS) return value
  const got = typeof value === 'string' ? `${value.length} characters` : typeof value
  throw new FormatError(
    `Expected ${field} to be a text of at most ${MAX_TEMPLATE_CHARS} characters, got ${got}. ` +
      DAMAGED,
    { field },
  )
}

const DAMAGED = 'The file is damaged; fetch it again.'
