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

/** A file in which `field` is not what it has to be, as the message says. */
export function damaged(field: string, message: string, cause?: unknown): FormatError {
  return new FormatError(`${message} The file is damaged; fetch it again.`, { field, cause })
}

/** @param expected for people: "a list of texts" */
export function wrongType(field: string, expected: string, value: unknown): FormatError {
  return damaged(field, `Expected ${field} to be ${expected}, got ${describe(value)}.`)
}

/** @throws FormatError naming `field` unless the value is a piece's text */
export function checkPiece(value: unknown, field: string, index: number | string): string {
  if (typeof value === 'string' && value.length <= MAX_PIECE_CHARS) return value
  const got = typeof value === 'string' ? `one of ${value.length}` : typeof value
  const expected = `Expected ${field} to hold texts of at most ${MAX_PIECE_CHARS} characters`
  throw damaged(field, `${expected}, got ${got} at ${index}.`)
}

/** @throws FormatError naming `field` unless 0 <= value < limit */
export function checkId(value: unknown, field: string, limit: number): number {
  if (isWhole(value, 0, limit - 1)) return value
  throw wrongType(field, `a token id from 0 to ${limit - 1}`, value)
}

/** @throws FormatError naming `field` if there are more than `limit` */
export function checkCount(count: number, field: string, limit: number): void {
  if (count <= limit) return
  throw damaged(field, `Expected at most ${limit} entries in ${field}, got ${count}.`)
}

/** @throws FormatError naming `field` unless the value is a template's text */
export function checkTemplate(value: unknown, field: string): string {
  if (typeof value === 'string' && value.length <= MAX_TEMPLATE_CHARS) return value
  const got = typeof value === 'string' ? `${value.length} characters` : typeof value
  const expected = `Expected ${field} to be a text of at most ${MAX_TEMPLATE_CHARS} characters`
  throw damaged(field, `${expected}, got ${got}.`)
}
