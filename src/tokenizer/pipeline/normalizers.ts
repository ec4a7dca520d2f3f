/**
 * What a tokenizer.json does to text before it is cut: its normalizer.
 *
 * Unicode's forms are those of the JavaScript engine. The Rust library's tables of compatibility forms are
 * older, so characters that they lack are left as they are here too.
 */

import { inStretches, type Steps } from '../../steps.ts'
import { textToAlphabet } from '../byte-alphabet.ts'
import { findAll } from '../regex/expression.ts'
import { clusterMapper, readCharsMap } from './chars-map.ts'
import { chainOf, type Part } from './parts.ts'

const CHARS_MAP = 'precompiled_charsmap'

/** Normal text. */
export interface Normal {
  readonly text: string
  /** Its first character comes from the first of the text that it was made of. */
  readonly keepsStart: boolean
}

export type Normalize = (text: string) => Steps<Normal>

/** Characters whose compatibility forms are younger than the Rust library's tables. */
const YOUNG_COMPATIBILITY =
  /([\u32ff\ua7f1-\ua7f4\uab69\u{10781}-\u{10785}\u{10787}-\u{107b0}\u{107b2}-\u{107ba}\u{1ccd6}-\u{1ccf9}\u{1e030}-\u{1e06d}\u{1f16c}\u{1fbf0}-\u{1fbf9}]+)/u
/** The same for canonical decomposition. */
const YOUNG_DECOMPOSITION =
  /([\u{105c9}\u{105e4}\u{11383}\u{11385}\u{1138e}\u{11391}\u{113c5}\u{113c7}\u{113c8}\u{11938}\u{16121}-\u{16128}\u{16d68}-\u{16d6a}]+)/u

/** ASCII control characters and the like, which Nmt removes. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NMT_REMOVED = /[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]/g
/** What Nmt takes for white space. */
const NMT_SPACES = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g

/** The chain of a tokenizer.json; undefined if there is none. */
export function normalizerOf(value: unknown): Normalize | undefined {
  const steps = chainOf(value, 'normalizer', 'normalizers').map(stepOf)
  if (steps.length === 0) return undefined
  return function* (text) {
    let normal = text
    let keepsStart = true
    for (const step of steps) {
      const done = yield* step(normal)
      keepsStart &&= done.keepsStart
      normal = done.text
    }
    return { text: normal, keepsStart }
  }
}

function stepOf(part: Part): Normalize {
  switch (part.type) {
    case 'NFC':
      return byStretch((text) => text.normalize('NFC'))
    case 'NFD':
      return byStretch(around(YOUNG_DECOMPOSITION, (text) => text.normalize('NFD')))
    case 'NFKC':
      return byStretch(around(YOUNG_COMPATIBILITY, (text) => text.normalize('NFKC')))
    case 'NFKD': {
      const decompose = around(YOUNG_DECOMPOSITION, (text) => text.normalize('NFKD'))
      return byStretch(around(YOUNG_COMPATIBILITY, decompose))
    }
    case 'Lowercase':
      // Character by character: a sigma at the end of a word stays an ordinary one.
      return byStretch((text) =>
        text.replaceAll(/[A-Z]+|[^\0-\x7f]/gu, (found) => found.toLowerCase()),
      )
    case 'Strip': {
      const [left, right] = [part.boolean('strip_left'), part.boolean('strip_right')]
      return atOnce(
        (text) => {
          const rest = left ? text.slice(spacesAtStart(text)) : text
          return right ? rest.slice(0, rest.length - spacesAtEnd(rest)) : rest
        },
        (text) => !left || spacesAtStart(text) === 0,
      )
    }
    case 'Prepend': {
      const prefix = part.text('prepend')
      return atOnce((text) => (text === '' ? text : prefix + text))
    }
    case 'Replace':
      return replaceStep(part)
    case 'Nmt':
      return byStretch(
        (text) => text.replaceAll(NMT_REMOVED, '').replaceAll(NMT_SPACES, ' '),
        (text) => text.slice(0, 1).replaceAll(NMT_REMOVED, '') !== '' || text === '',
      )
    case 'ByteLevel':
      return byStretch(textToAlphabet)
    case 'Precompiled':
      return byStretch(clusterMapper(readCharsMap(part.base64(CHARS_MAP), CHARS_MAP)))
    default:
      throw part.refuse(
        'it is not one of those that give the same text here as in the Rust library',
      )
  }
}

/**
 * A change of characters that has to do with their neighbours at most.
 *
 * @param keepsStart unset: of any text
 */
function byStretch(
  change: (text: string) => string,
  keepsStart: (text: string) => boolean = () => true,
): Normalize {
  return function* (text) {
    return { text: yield* inStretches(text, change), keepsStart: keepsStart(text) }
  }
}

/** A change that takes little time, however long the text is. */
function atOnce(
  change: (text: string) => string,
  keepsStart: (text: string) => boolean = () => true,
): Normalize {
  // biome-ignore lint/correctness/useYield: there is nothing to wait for
  return function* (text) {
    return { text: change(text), keepsStart: keepsStart(text) }
  }
}

/** Leaves characters of `young` alone, and what stands on either side of them apart. */
function around(young: RegExp, apply: (text: string) => string) {
  return (text: string): string => {
    if (!young.test(text)) return apply(text)
    return text
      .split(young)
      .map((stretch, i) => (i % 2 === 1 ? stretch : apply(stretch)))
      .join('')
  }
}

function replaceStep(part: Part): Normalize {
  const { kind, text: pattern } = part.pattern()
  const content = part.text('content')
  // What stands for several characters counts as coming from the last of them.
  const keepsStart = (text: string, end: number) =>
    content !== '' && [...text.slice(0, end)].length <= 1
  if (kind !== 'Regex') {
    return atOnce(
      (text) => text.replaceAll(pattern, () => content),
      (text) => pattern === '' || !text.startsWith(pattern) || keepsStart(text, pattern.length),
    )
  }
  const find = findAll(pattern, 'tokenizer.json')
  return function* (text) {
    const found = yield* find(text)
    return {
      text: replaced(text, found, content),
      keepsStart: found[0] !== 0 || keepsStart(text, found[1]),
    }
  }
}

/** @param found starts and ends in turn, ascending */
export function replaced(text: string, found: readonly number[], content: string): string {
  let out = ''
  let last = 0
  for (let i = 0; i < found.length; i += 2) {
    out += text.slice(last, found[i]) + content
    last = found[i + 1]
  }
  return out + text.slice(last)
}

const SPACE = /\p{White_Space}/u

/** How much white space a text begins with, as Unicode defines it. */
export function spacesAtStart(text: string): number {
  let count = 0
  while (count < text.length && SPACE.test(text[count])) count++
  return count
}

export function spacesAtEnd(text: string): number {
  let count = 0
  while (count < text.length && SPACE.test(text[text.length - 1 - count])) count++
  return count
}
