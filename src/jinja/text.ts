/**
 * Texts as Python knows them: white space, characters (code points, not units of UTF-16), cases and
 * representations differ from JavaScript's.
 */

import { notSupported } from './errors.ts'

/** White space of Python's str and of \s in its regular expressions, as a character class. */
const SPACE =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const ONLY_SPACE = new RegExp(`^[${SPACE}]+$`)
const ONE_SPACE = new RegExp(`[${SPACE}]`)
const SPACES = new RegExp(`[${SPACE}]+`)
const LINE_ENDS = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029'
const LINE_END = new RegExp(`\\r\\n|[${LINE_ENDS}]`)

export function isSpace(text: string): boolean {
  return ONLY_SPACE.test(text)
}

/** Where white space from `at` on ends. */
export function endOfSpace(text: string, at: number): number {
  let end = at
  while (end < text.length && ONE_SPACE.test(text[end])) end++
  return end
}

export function stripStart(text: string): string {
  return text.slice(endOfSpace(text, 0))
}

/** A loop: a regular expression tries each run of spaces inside the text anew. */
export function stripEnd(text: string): string {
  let end = text.length
  while (end > 0 && ONE_SPACE.test(text[end - 1])) end--
  return text.slice(0, end)
}

export function strip(text: string): string {
  return stripEnd(stripStart(text))
}

/** Parts between runs of white space, empty ones at the ends included: re.split(r"\s+"). */
export function splitAtSpace(text: string): string[] {
  return text.split(SPACES)
}

/** Lines without their ends; what ends in a line end has no empty line behind it. */
export function splitLines(text: string, keepEnds = false): string[] {
  const lines: string[] = []
  let rest = text
  while (rest !== '') {
    const found = LINE_END.exec(rest)
    const length = found === null ? rest.length : found.index + found[0].length
    lines.push(rest.slice(0, keepEnds ? length : (found?.index ?? length)))
    rest = rest.slice(length)
  }
  return lines
}

/** The characters of a text: the text itself where each is one unit. */
export function charactersOf(text: string): string | readonly string[] {
  return /[\ud800-\udfff]/.test(text) ? Array.from(text) : text
}

export function lengthOf(text: string): number {
  return charactersOf(text).length
}

const STRETCH = 1024

function isSameStretch(a: string, b: string, at: number): boolean {
  return a.slice(at, at + STRETCH) === b.slice(at, at + STRETCH)
}

/** Before, at or after, in the order of code points. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  let at = 0
  // The engine compares long stretches many times as fast as single characters.
  while (at + STRETCH < a.length && isSameStretch(a, b, at)) at += STRETCH
  while (at < a.length && at < b.length && a.charCodeAt(at) === b.charCodeAt(at)) at++
  if (at === a.length || at === b.length) return a.length - b.length
  const isLow = (text: string) => /[\udc00-\udfff]/.test(text[at])
  if (at > 0 && (isLow(a) || isLow(b)) && /[\ud800-\udbff]/.test(a[at - 1])) at--
  return (a.codePointAt(at) ?? 0) - (b.codePointAt(at) ?? 0)
}

/** The letters whose title case is none of their two others. */
const TITLE_CASE: Readonly<Record<string, string>> = {
  ...{ Ǆ: 'ǅ', ǅ: 'ǅ', ǆ: 'ǅ', Ǉ: 'ǈ', ǈ: 'ǈ', ǉ: 'ǈ' },
  ...{ Ǌ: 'ǋ', ǋ: 'ǋ', ǌ: 'ǋ', Ǳ: 'ǲ', ǲ: 'ǲ', ǳ: 'ǲ' },
}

function titleCase(character: string): string {
  const known = TITLE_CASE[character]
  if (known !== undefined) return known
  // Georgian has capitals for whole words only.
  if (/[\u10d0-\u10ff]/.test(character)) return character
  const upper = character.toUpperCase()
  if (upper.length > 1 && /[\u1f80-\u1fff]/.test(character))
    throw notSupported('capitals of ancient Greek')
  // Of a letter that becomes several, the first that has a case is the capital.
  const at = upper.search(/\p{Uppercase}/u)
  return upper.slice(0, at + 1) + upper.slice(at + 1).toLowerCase()
}

/** Text with a capital at its front, all else small. */
export function capitalized(text: string): string {
  const first = String.fromCodePoint(text.codePointAt(0) ?? 0)
  return text === '' ? '' : titleCase(first) + lowerAfter(text, first.length)
}

/** The part from `at` on in small letters, with what stands before it in view: a sigma may end a word. */
function lowerAfter(text: string, at: number): string {
  return text.toLowerCase().slice(text.slice(0, at).toLowerCase().length)
}

/** Runs of letters that have cases; Roman numerals in a circle and small letters above the line do, too. */
export const CASED: RegExp = /\p{Cased}+/gu

/** Of a run of letters that have cases. */
export function isTitled(run: string): boolean {
  return /^[\p{Lt}\p{Uppercase}]\p{Lowercase}*$/u.test(run)
}

/** Whether there are small letters and no others; those without cases do not count. */
export function isLower(text: string): boolean {
  return /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text)
}

export function isUpper(text: string): boolean {
  return /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text)
}

/** Small letters for capitals and the other way round; a sigma may end a word. */
export function swapped(text: string): string {
  const small = text.toLowerCase()
  let at = 0
  let result = ''
  for (const character of text) {
    const end = at + character.toLowerCase().length
    if (/\p{Uppercase}/u.test(character)) result += small.slice(at, end)
    else result += /\p{Lowercase}/u.test(character) ? character.toUpperCase() : character
    at = end
  }
  return result
}

/** A capital at the front of each run of letters that have cases: str.title. */
export function titled(text: string): string {
  return text.replace(CASED, capitalized)
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/**
 * repr() of a text.
 *
 * @param shown characters that stay as they are although they cannot be printed
 */
export function reprText(text: string, shown: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  let result = quote
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    if (character === quote) result += `\\${quote}`
    else if (ESCAPES[character] !== undefined) result += ESCAPES[character]
    else if (character === ' ' || shown.includes(character) || !/[\p{C}\p{Z}]/u.test(character)) {
      result += character
    } else if (code < 0x100) result += `\\x${hex(code, 2)}`
    else result += code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`
  }
  return result + quote
}

export function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}
