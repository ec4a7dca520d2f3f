/** A text of JSON as its bytes come: quotation marks, escapes, and characters cut into bytes. */
import type { Expression, Expressions } from './expression.ts'
import { type Lexicon, latin1Of } from './lexicon.ts'

/** Where in a text its bytes are. */
type Place =
  /** Before its opening quotation mark. */
  | { readonly kind: 'before' }
  | { readonly kind: 'within' }
  /** Behind a backslash. */
  | { readonly kind: 'escape' }
  /** In a character: `left` more bytes of UTF-8, or digits of \u, with `bits` each; at least `least` in all. */
  | {
      readonly kind: 'character'
      readonly value: number
      readonly left: number
      readonly bits: number
      readonly least: number
    }
  | { readonly kind: 'behind' }

export interface StringState {
  /** What the rest of the text may be. */
  readonly rest: Expression
  readonly place: Place
}

const [QUOTE, BACKSLASH] = [0x22, 0x5c]
/**
 * More tokens than any answer has: within a character, where a vocabulary has no tokens for single bytes. The
 * middle of a token may be there, its end may not.
 */
export const FAR = 2 ** 32
const ESCAPES: ReadonlyMap<number, number> = new Map(
  Object.entries({ '"': 0x22, '\\': 0x5c, '/': 0x2f, b: 8, f: 12, n: 10, r: 13, t: 9 }).map(
    ([letter, code]) => [letter.charCodeAt(0), code],
  ),
)
const LETTERS = new Map([...ESCAPES].map(([letter, code]) => [code, String.fromCharCode(letter)]))

export function stringStart(rest: Expression): StringState {
  return { rest, place: { kind: 'before' } }
}

export function stringKey({ rest, place }: StringState): string {
  if (place.kind !== 'character') return `${rest.id} ${place.kind}`
  const { value, left, bits, least } = place
  return `${rest.id} ${value} ${left} ${bits} ${least}`
}

/** Whether any characters may come, at most so many; undefined where it is a matter of which. */
export function freeCharacters(
  { rest, place }: StringState,
  make: Expressions,
): number | undefined {
  const isFree = place.kind === 'within' && rest.kind === 'repeat' && rest.of[0] === make.any
  return isFree ? rest.max : undefined
}

/** How many characters begin in a text with these bytes, which are within it up to their first quotation mark. */
export function lengthWithin(bytes: Uint8Array): number {
  let count = 0
  for (let at = 0; at < bytes.length && bytes[at] !== QUOTE; at++) {
    if (bytes[at] >> 6 !== 2) count++
    if (bytes[at] === BACKSLASH) at += bytes[at + 1] === 0x75 ? 5 : 1
  }
  return count
}

/** @returns undefined where no text goes on so */
export function stepString(
  { rest, place }: StringState,
  byte: number,
  make: Expressions,
): StringState | undefined {
  switch (place.kind) {
    case 'before':
      return byte === QUOTE ? { rest, place: { kind: 'within' } } : undefined
    case 'within':
      return stepWithin(rest, byte, make)
    case 'escape': {
      const code = ESCAPES.get(byte)
      if (code !== undefined) return after(rest, code, make)
      const digits = { kind: 'character' as const, value: 0, left: 4, bits: 4, least: 0 }
      return byte === 0x75 ? { rest, place: digits } : undefined
    }
    case 'character': {
      const { value, left, bits, least } = place
      const part = bits === 4 ? hexadecimal(byte) : byte >> 6 === 2 ? byte & 0x3f : -1
      if (part < 0) return undefined
      const grown = (value << bits) | part
      if (left > 1) return { rest, place: { ...place, value: grown, left: left - 1 } }
      return grown < least || !isCharacter(grown) ? undefined : after(rest, grown, make)
    }
    case 'behind':
      return undefined
  }
}

function stepWithin(rest: Expression, byte: number, make: Expressions): StringState | undefined {
  if (byte === QUOTE) return rest.isNullable ? { rest, place: { kind: 'behind' } } : undefined
  if (byte === BACKSLASH) return { rest, place: { kind: 'escape' } }
  if (byte < 0x20) return undefined
  if (byte < 0x80) return after(rest, byte, make)
  const character = (left: number, mask: number, least: number): StringState => {
    return { rest, place: { kind: 'character', value: byte & mask, left, bits: 6, least } }
  }
  if (byte >= 0xc2 && byte < 0xe0) return character(1, 0x1f, 0x80)
  if (byte >= 0xe0 && byte < 0xf0) return character(2, 0x0f, 0x800)
  return byte >= 0xf0 && byte < 0xf5 ? character(3, 0x07, 0x10000) : undefined
}

function after(rest: Expression, code: number, make: Expressions): StringState | undefined {
  const derived = make.derive(rest, code)
  return derived === make.none ? undefined : { rest: derived, place: { kind: 'within' } }
}

/** How few tokens end the text, its quotation mark included; infinite where nothing does. */
export function stringNeed(
  { rest, place }: StringState,
  make: Expressions,
  lexicon: Lexicon,
): number {
  const quote = lexicon.cost('"')
  switch (place.kind) {
    case 'before':
      return 2 * quote + make.least(rest)
    case 'within':
      return quote + make.least(rest)
    case 'escape': {
      const letters = [...ESCAPES].map(
        ([letter, code]) =>
          lexicon.cost(String.fromCharCode(letter)) + make.least(make.derive(rest, code)),
      )
      const digits = lexicon.cost('u') + 4 + leastFrom(rest, 0, 0xffff, make)
      return quote + Math.min(...letters, digits)
    }
    case 'character': {
      const { value, left, bits, least } = place
      const first = Math.max(least, value << (left * bits))
      const last = Math.min(0x10ffff, ((value + 1) << (left * bits)) - 1)
      const each = Math.min(FAR, lexicon.cost(bits === 4 ? '0' : '\x80'))
      return quote + left * each + leastFrom(rest, first, last, make)
    }
    case 'behind':
      return 0
  }
}

function leastFrom(rest: Expression, first: number, last: number, make: Expressions): number {
  const parts: readonly (readonly [number, number])[] = [
    [first, Math.min(last, 0xd7ff)],
    [Math.max(first, 0xe000), last],
  ]
  return Math.min(
    ...parts.map(([from, to]) =>
      from <= to ? make.leastBehind(rest, from, to) : Number.POSITIVE_INFINITY,
    ),
  )
}

/** How few tokens write a character within a text, as it is or escaped. */
export function characterCost(code: number, lexicon: Lexicon): number {
  const letter = LETTERS.get(code)
  const escaped = letter === undefined ? `u${code.toString(16).padStart(4, '0')}` : letter
  const needsEscape = code < 0x20 || code === QUOTE || code === BACKSLASH
  const plain = needsEscape
    ? Number.POSITIVE_INFINITY
    : lexicon.cost(latin1Of(encoder.encode(String.fromCodePoint(code))))
  return code > 0xffff ? plain : Math.min(plain, lexicon.cost(`\\${escaped}`))
}

const encoder = new TextEncoder()

function isCharacter(code: number): boolean {
  return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
}

function hexadecimal(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
