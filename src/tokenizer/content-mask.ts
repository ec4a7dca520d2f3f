/**
 * Keeps special tokens out of what people write, while a chat template works on it.
 *
 * A chat template turns messages into one text, and special tokens are then found in that text by
 * their spelling; "<|eot_id|>" typed by a user would end the turn. So before rendering, a character
 * that occurs nowhere else, the mask, is put behind the first character of each special spelling in a
 * message, and at an end of the message that could complete a spelling together with the template's
 * own text. The masked spelling is not found; the mask is taken out of the text between tokens before
 * that is encoded. What a template does to a message (trimming, joining, testing for emptiness) goes
 * on as it would without, and a message with no such spelling is not touched at all, so that merges
 * across its borders are exact.
 *
 * Spellings are compared without regard to case, in case a template changes it. A template that cuts
 * messages into pieces and joins these can still build a spelling; none is known that does.
 */
import { isObject } from '../checks.ts'
import { UsageError } from '../errors.ts'
import { lengthsByFirst } from './added-tokens.ts'

/** Characters without meaning (private use, Unicode 3.5 and 23.5), first those of one code unit. */
const PRIVATE_RANGES = [
  [0xe000, 0xf8ff],
  [0xf0000, 0xffffd],
] as const

/**
 * `count` characters that occur in none of the texts.
 *
 * @throws UsageError if the texts use up all of Unicode's private characters
 */
export function unusedCharacters(texts: readonly string[], count: number): string[] {
  const used = new Set<string>()
  for (const text of texts) {
    for (const [character] of text.matchAll(/[\ue000-\uf8ff]|[\u{f0000}-\u{ffffd}]/gu)) {
      used.add(character)
    }
  }
  const free: string[] = []
  for (const [first, last] of PRIVATE_RANGES) {
    for (let code = first; code <= last && free.length < count; code++) {
      const character = String.fromCodePoint(code)
      if (!used.has(character)) free.push(character)
    }
  }
  if (free.length === count) return free
  throw new UsageError(
    'Expected messages that leave a private-use character free, got all of them.',
  )
}

/**
 * A function that masks special spellings in a message: it puts `mask`, a character that occurs in no
 * message, where it is needed.
 *
 * @param specials spellings of at least two characters
 */
export function contentMask(specials: readonly string[]) {
  const spellings = new Set(specials.map((text) => text.toLowerCase()))
  const lengths = lengthsByFirst(spellings)

  /** Every place where a spelling begins, also inside another one. */
  const breakSpellings = (body: string, mask: string): string => {
    let masked = ''
    let done = 0
    for (let at = 0; at < body.length; at++) {
      const tried = lengths.get(body[at].toLowerCase())
      if (tried === undefined) continue
      const isSpecial = (length: number) => spellings.has(body.slice(at, at + length).toLowerCase())
      if (!tried.some(isSpecial)) continue
      masked += body.slice(done, at + 1) + mask
      done = at + 1
    }
    return masked + body.slice(done)
  }

  /** Whether text in front of or behind the message could complete a spelling with it. */
  const openEnds = (body: string): { start: boolean; end: boolean } => {
    let start = false
    let end = false
    for (const special of spellings) {
      if (special.length > body.length && special.includes(body)) return { start: true, end: true }
      for (let cut = 1; cut < special.length && !(start && end); cut++) {
        start ||= body.startsWith(special.slice(cut))
        end ||= body.endsWith(special.slice(0, cut))
      }
    }
    return { start, end }
  }

  return (content: string, mask: string): string => {
    const body = content.trim()
    if (body === '') return content
    const ends = openEnds(body.toLowerCase())
    const masked = `${ends.start ? mask : ''}${breakSpellings(body, mask)}${ends.end ? mask : ''}`
    const from = content.indexOf(body)
    return content.slice(0, from) + masked + content.slice(from + body.length)
  }
}

/** Objects and lists inside each other that a message may have. */
const MAX_DEPTH = 50

/**
 * A message's value with each of its texts changed, keys included; fields that are undefined are left out.
 *
 * @throws UsageError for what JSON has not
 */
export function mapTexts(value: unknown, change: (text: string) => string, depth = 0): unknown {
  if (typeof value === 'string') return change(value)
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return value
  if (depth < MAX_DEPTH) {
    if (Array.isArray(value)) return value.map((item) => mapTexts(item, change, depth + 1))
    if (isObject(value)) {
      const fields = Object.entries(value).filter(([, item]) => item !== undefined)
      return Object.fromEntries(
        fields.map(([key, item]) => [change(key), mapTexts(item, change, depth + 1)]),
      )
    }
  }
  throw new UsageError(
    `Expected messages of texts, numbers, lists and objects, at most ${MAX_DEPTH} inside each other, got ` +
      `${depth < MAX_DEPTH ? `a ${typeof value}` : 'more'}.`,
  )
}
