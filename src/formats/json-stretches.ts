/**
 * Parsing of long JSON in steps. A list or an object is cut between its members into stretches, each of which is
 * parsed as a list or an object of its own; members that are long themselves are cut in turn.
 */
import type { JsonObject } from '../checks.ts'
import type { Steps } from '../steps.ts'

/** Bytes that take a few milliseconds to parse. */
const STRETCH = 1 << 18
/** Bytes that take a few milliseconds to look at. */
const LOOKED_AT = 1 << 20
/** A tokenizer.json has its longest lists three deep; whatever lies deeper is not cut. */
const MAX_DEPTH = 4

const [QUOTE, BACKSLASH, COLON, COMMA] = [0x22, 0x5c, 0x3a, 0x2c]
const BRACKETS: ReadonlyMap<number, number> = new Map([
  [0x5b, 0x5d],
  [0x7b, 0x7d],
])
/** What a byte does to the depth. */
const DEPTHS = Int8Array.from({ length: 256 }, (_, byte) => {
  if (BRACKETS.has(byte)) return 1
  return byte === 0x5d || byte === 0x7d ? -1 : 0
})

// A mark within the text is no white space of JSON; whoever calls has taken the one in front.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The value of a JSON text without a byte-order mark.
 *
 * @throws whatever JSON.parse and TextDecoder throw, or Error; about a stretch, not about the text
 */
export function* parseStretches(bytes: Uint8Array, depth = 0): Steps<unknown> {
  const text = withoutSpaces(bytes)
  const close = BRACKETS.get(text[0])
  if (text.length <= STRETCH || depth >= MAX_DEPTH || close === undefined) {
    return JSON.parse(utf8.decode(bytes))
  }
  if (text[text.length - 1] !== close) throw new Error('An end is missing.')
  const isList = close === 0x5d
  const list: unknown[] = []
  const object: Record<string, unknown> = {}
  for (const { part, isLong } of membersOf(text.subarray(1, -1))) {
    yield
    if (part === undefined) continue
    if (isLong && isList) list.push(yield* parseStretches(part, depth + 1))
    else if (isLong) {
      const name = withoutSpaces(part)
      const colon = endOfName(name)
      const key = JSON.parse(utf8.decode(name.subarray(0, colon))) as string
      put(object, key, yield* parseStretches(name.subarray(colon + 1), depth + 1))
    } else if (isList) {
      for (const item of JSON.parse(`[${utf8.decode(part)}]`)) list.push(item)
    } else {
      const fields: JsonObject = JSON.parse(`{${utf8.decode(part)}}`)
      for (const key in fields) put(object, key, fields[key])
    }
  }
  return isList ? list : object
}

/**
 * Stretches of whole members, and long ones alone; nothing wherever others may have their turn.
 *
 * @throws Error for a bracket too many, and where there is no member
 */
function* membersOf(bytes: Uint8Array): Generator<{ part?: Uint8Array; isLong?: boolean }> {
  let depth = 0
  let start = 0
  let memberStart = 0
  const stretch = (end: number) => {
    const part = bytes.subarray(start, end)
    if (withoutSpaces(part).length === 0) throw new Error('A member is missing.')
    start = end + 1
    return part
  }
  for (let at = 0, turn = LOOKED_AT; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) at = endOfText(bytes, at)
    else if (byte === COMMA && depth === 0) {
      if (at - memberStart > STRETCH) {
        if (memberStart > start) yield { part: stretch(memberStart - 1) }
        yield { part: stretch(at), isLong: true }
      } else if (at - start > STRETCH) yield { part: stretch(at) }
      memberStart = at + 1
    } else {
      depth += DEPTHS[byte]
      if (depth < 0) throw new Error('A bracket is too many.')
    }
    if (at < turn) continue
    turn = at + LOOKED_AT
    yield {}
  }
  const isLong = bytes.length - memberStart > STRETCH
  if (isLong && memberStart > start) yield { part: stretch(memberStart - 1) }
  yield { part: stretch(bytes.length), isLong }
}

/** Parsing gives each name a field of its own, "__proto__" too. */
function put(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') object[key] = value
  else
    Object.defineProperty(object, key, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    })
}

/** The place of the closing quotation mark, or of the end. */
function endOfText(bytes: Uint8Array, start: number): number {
  let at = start + 1
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return at
}

/** The place of the colon behind a member's name. */
function endOfName(member: Uint8Array): number {
  const colon = member[0] === QUOTE ? member.indexOf(COLON, endOfText(member, 0)) : -1
  if (colon >= 0) return colon
  throw new Error('A name is missing.')
}

/** Without JSON's white space at both ends. */
function withoutSpaces(bytes: Uint8Array): Uint8Array {
  let [start, end] = [0, bytes.length]
  while (start < end && isSpace(bytes[start])) start++
  while (end > start && isSpace(bytes[end - 1])) end--
  return bytes.subarray(start, end)
}

const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
