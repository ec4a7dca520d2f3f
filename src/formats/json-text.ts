/**
 * JSON of files that nobody vouches for: how much memory it takes is bounded before it is parsed, and
 * `Infinity` and `NaN`, which Python writes, are read as what they are.
 */

import { isObject, type JsonObject } from '../checks.ts'
import { finish, type Steps } from '../steps.ts'
import { parseStretches } from './json-stretches.ts'

/** Gemma's 262,144 pieces and 514,906 merges have 2.2 million marks of JSON: see parseJson. */
export const MAX_VOCABULARY_MARKS: number = 3 << 20
/** Of everything else: a tensor takes four in an index, about fifteen in a header of safetensors. */
export const MAX_JSON_MARKS: number = 1 << 20

/** Braces, brackets, colons and commas outside of texts: each stands for at most one value or name. */
const [QUOTE, BACKSLASH] = [0x22, 0x5c]
const MARKS: readonly boolean[] = Array.from({ length: 256 }, (_, byte) => {
  return '{[:,'.includes(String.fromCharCode(byte))
})

/** Bytes less one, that take a millisecond to look at. */
const LOOKED_AT = (1 << 19) - 1

/** Stands for NaN, which JSON has no form for, until the text is parsed. */
const NAN = '\0NaN'

/**
 * @param maxMarks how many braces, brackets, colons and commas there may be; a value takes one to three of
 *   them, and up to a hundred bytes of memory
 * @throws Error with the reason in words: "JSON text, got ...", to follow "Expected"
 */
export function parseJson(bytes: Uint8Array, maxMarks: number): unknown {
  return finish(parseJsonSteps(bytes, maxMarks))
}

/** The same in steps. Throws as {@link parseJson}. */
export function* parseJsonSteps(bytes: Uint8Array, maxMarks: number): Steps<unknown> {
  if ((yield* countMarks(bytes, maxMarks)) > maxMarks) {
    throw new Error(`at most ${maxMarks} values and names in JSON, got more`)
  }
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  try {
    return yield* parseStretches(isMarked ? bytes.subarray(3) : bytes)
  } catch {
    // What is wrong with it is said of the whole text, and numbers of Python are found there.
    return parseWhole(bytes)
  }
}

function parseWhole(bytes: Uint8Array): unknown {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new Error('UTF-8 text, got something else', { cause })
  }
  return parseText(text)
}

/** The same for a text. */
export function parseJsonText(text: string, maxMarks: number): unknown {
  return finish(parseJsonTextSteps(text, maxMarks))
}

/** The same for a text, in steps. */
export function* parseJsonTextSteps(text: string, maxMarks: number): Steps<unknown> {
  // Each mark is a character.
  if (text.length <= maxMarks) return parseText(text)
  return yield* parseJsonSteps(new TextEncoder().encode(text), maxMarks)
}

/** The object of a JSON text; undefined for any other text, and for one of too many values. */
export function parseObject(
  text: string,
  maxMarks: number = MAX_JSON_MARKS,
): JsonObject | undefined {
  try {
    const value = parseJsonText(text, maxMarks)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    return parsePython(text, cause)
  }
}

/** Counts no further than beyond `limit`. */
function* countMarks(bytes: Uint8Array, limit: number): Steps<number> {
  let count = 0
  let isText = false
  for (let i = 0; i < bytes.length && count <= limit; i++) {
    const byte = bytes[i]
    if (byte === QUOTE) isText = !isText
    else if (isText) {
      if (byte === BACKSLASH) i++
    } else if (MARKS[byte]) count++
    if ((i & LOOKED_AT) === LOOKED_AT) yield
  }
  return count
}

/** @param cause why the text is no JSON */
function parsePython(text: string, cause: unknown): unknown {
  const changed = withPythonNumbers(text)
  try {
    if (changed === text) throw cause
    return JSON.parse(changed, (_, value) => (value === NAN ? Number.NaN : value))
  } catch {
    const reason = cause instanceof Error ? cause.message.slice(0, 120) : ''
    throw new Error(`JSON text, got something else (${reason})`, { cause })
  }
}

/** JSON.parse reads numbers beyond float64 as infinity. */
function withPythonNumbers(text: string): string {
  const pieces: string[] = []
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = endOfText(text, at)
    else if (character === 'I' && text.startsWith('Infinity', at)) {
      pieces.push(text.slice(from, at), '1e999')
      from = at + 'Infinity'.length
    } else if (character === 'N' && text.startsWith('NaN', at)) {
      pieces.push(text.slice(from, at), JSON.stringify(NAN))
      from = at + 'NaN'.length
    }
  }
  return pieces.join('') + text.slice(from)
}

/** The place of the closing quotation mark. */
function endOfText(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}
