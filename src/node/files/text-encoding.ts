/**
 * Text of bytes that somebody else wrote. UTF-8 is read, and UTF-16 behind a byte-order mark; whatever else
 * it seems to be is refused by name: a guess would give a wrong text in silence.
 */
import { isUtf8 } from 'node:buffer'
import { FormatError } from '../../errors.ts'

/** V8 holds texts of about 2^29 characters; what is larger is no prompt and no test set. */
export const MAX_TEXT_BYTES = 500_000_000

/** Longer marks first: that of UTF-32LE begins like that of UTF-16LE. */
const MARKS: readonly (readonly [encoding: string, ...bytes: number[]])[] = [
  ['UTF-32LE', 0xff, 0xfe, 0, 0],
  ['UTF-32BE', 0, 0, 0xfe, 0xff],
  ['UTF-8', 0xef, 0xbb, 0xbf],
  ['UTF-16LE', 0xff, 0xfe],
  ['UTF-16BE', 0xfe, 0xff],
]

/** A file with more of them is another file; to tell what each one is takes 50 us. */
const MAX_DAMAGED_LINES = 1000

/** Bytes at the beginning that an encoding is told by. */
const SAMPLE_BYTES = 64 << 10

/** ISO-2022-JP is ASCII to the eye of a decoder: only its escape sequences tell. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for.
const JIS_ESCAPE = /\u001b(?:\$[@B]|\([IJ])/
/** Letters of Windows-1252 that stand alone between ASCII, as in "café". */
const WESTERN = /^(?:[\x20-\x7e\s]|[\xc0-\xfe](?![\x80-\xff]))*$/
const KANA = /[\u3041-\u30fe]/g
const HALF_WIDTH = /[\uff61-\uff9f]/g

/**
 * @param name the file, or what else the bytes are, for the message
 * @throws FormatError with the encoding, where the bytes are not text that is certain
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  checkTextSize(bytes.length, name)
  const text = decodeCertain(bytes, name)
  if (text !== undefined) return text
  throw foreignText(bytes, name)
}

/** A line of a file, from 1 on, and its text or why it has none. */
export interface TextLine {
  readonly number: number
  readonly text: string
  readonly error?: FormatError
}

/**
 * The lines of a text that are not blank. Bytes that are not UTF-8 cost the lines that have them.
 *
 * @throws FormatError as {@link decodeText}, where lines cannot be told, or none or too few are left
 */
export function decodeLines(bytes: Uint8Array, name: string): TextLine[] {
  checkTextSize(bytes.length, name)
  const text = decodeCertain(bytes, name)
  const filled: TextLine[] = []
  const add: OnLine = (number, line, error) => {
    if (error !== undefined) filled.push({ number, text: '', error })
    else if (line.trim() !== '') filled.push({ number, text: line.replace(/\r$/, '') })
  }
  if (text === undefined) linesApart(bytes, name, add)
  else for (const [i, line] of text.split('\n').entries()) add(i + 1, line)
  if (text === undefined && filled.every(({ error }) => error)) throw foreignText(bytes, name)
  return filled
}

/**
 * The text of a stream, piece by piece, however long it is.
 *
 * @throws FormatError as {@link decodeText}; of damage it tells the byte
 */
export async function* decodePieces(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<string> {
  let pending: Uint8Array = new Uint8Array(0)
  let done = 0
  let known: { encoding: string; decoder: TextDecoder } | undefined
  const take = (isLast: boolean): string => {
    known ??= decoderFor(pending, name)
    const { encoding, decoder } = known
    const end = isLast || encoding !== 'UTF-8' ? pending.length : endOfWhole(pending)
    const piece = pending.subarray(0, end)
    try {
      const text = decoder.decode(piece, { stream: !isLast })
      pending = pending.subarray(end)
      done += end
      return text
    } catch {
      if (encoding !== 'UTF-8') throw refusal(name, `damaged ${encoding}`)
      const foreign = foreignEncoding(piece)
      if (foreign !== undefined) throw refusal(name, foreign)
      throw refusal(name, 'damaged UTF-8', done + damageIn(piece))
    }
  }
  for await (const chunk of chunks) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    if (pending.length >= SAMPLE_BYTES) yield take(false)
  }
  yield take(true)
}

/** By the first bytes, of which there are enough to tell. */
function decoderFor(start: Uint8Array, name: string) {
  const encoding = markOf(start) ?? 'UTF-8'
  if (encoding.startsWith('UTF-32')) throw refusal(name, encoding)
  if (encoding === 'UTF-8' && looksForeign(start)) throw foreignText(start, name)
  return { encoding, decoder: new TextDecoder(encoding, { fatal: true }) }
}

/** Where a character of UTF-8 begins that does not end in these bytes; else their end. */
function endOfWhole(bytes: Uint8Array): number {
  for (let i = bytes.length - 1; i >= Math.max(0, bytes.length - 3); i--) {
    const byte = bytes[i]
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return i + length > bytes.length ? i : bytes.length
  }
  return bytes.length
}

/** @throws FormatError before a text is read that is too long for one */
export function checkTextSize(bytes: number, name: string): void {
  if (bytes <= MAX_TEXT_BYTES) return
  throw new FormatError(
    `Expected at most ${MAX_TEXT_BYTES / 1e6} MB of text in ${name}, got more. Split it.`,
    { field: 'size', path: name },
  )
}

/** Undefined for bytes that are neither UTF-8 nor marked as UTF-16. */
function decodeCertain(bytes: Uint8Array, name: string): string | undefined {
  const encoding = markOf(bytes) ?? 'UTF-8'
  if (encoding.startsWith('UTF-32')) throw refusal(name, encoding)
  if (encoding === 'UTF-8' && looksForeign(bytes)) return undefined
  try {
    // Takes a byte-order mark away.
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    if (encoding === 'UTF-8') return undefined
    throw refusal(name, `damaged ${encoding}`)
  }
}

function markOf(bytes: Uint8Array): string | undefined {
  return MARKS.find(([, ...mark]) => mark.every((byte, i) => bytes[i] === byte))?.[0]
}

/** Valid UTF-8 that is something else all the same. */
function looksForeign(bytes: Uint8Array): boolean {
  const start = bytes.subarray(0, SAMPLE_BYTES)
  return start.includes(0) || (start.includes(0x1b) && JIS_ESCAPE.test(latin1(start)))
}

/** Takes a line, from 1 on, or why it has no text. */
type OnLine = (number: number, line: string, error?: FormatError) => void

/** Each line by itself. @throws FormatError where a line end is not one byte, or too many lines are none */
function linesApart(bytes: Uint8Array, name: string, add: OnLine): void {
  if (looksForeign(bytes)) throw foreignText(bytes, name)
  const decoder = new TextDecoder()
  let damaged = 0
  for (let from = 0, number = 1; from <= bytes.length; number++) {
    const next = bytes.indexOf(10, from)
    const end = next < 0 ? bytes.length : next
    const line = bytes.subarray(from, end)
    if (isUtf8(line)) add(number, decoder.decode(line))
    else if (++damaged > MAX_DAMAGED_LINES) throw foreignText(bytes, name)
    else add(number, '', foreignLine(line, number, name))
    from = end + 1
  }
}

function foreignLine(bytes: Uint8Array, number: number, name: string): FormatError {
  const encoding = foreignEncoding(bytes)
  return encoding === undefined
    ? refusal(`line ${number} of ${name}`, 'damaged UTF-8', damageIn(bytes))
    : refusal(`line ${number} of ${name}`, encoding)
}

function foreignText(bytes: Uint8Array, name: string): FormatError {
  const encoding = foreignEncoding(bytes)
  if (encoding !== undefined) return refusal(name, encoding)
  const at = damageIn(bytes)
  const line = bytes.subarray(0, at).reduce((count, byte) => count + (byte === 10 ? 1 : 0), 1)
  return refusal(`line ${line} of ${name}`, 'damaged UTF-8', at)
}

/** What bytes that are not UTF-8 seem to be; undefined for UTF-8 with damage. */
function foreignEncoding(bytes: Uint8Array): string | undefined {
  const start = bytes.subarray(0, SAMPLE_BYTES)
  const text = latin1(start)
  if (JIS_ESCAPE.test(text)) return 'ISO-2022-JP'
  if (start.includes(0)) return wideEncoding(start) ?? 'binary data'
  const read = new TextDecoder('utf-8').decode(bytes.subarray(0, SAMPLE_BYTES - 4))
  const wrong = read.split('\ufffd').length - 1
  const right = read.match(/[\u0080-\ufffc]/g)?.length ?? 0
  if (wrong === 0 || right >= wrong) return undefined
  if (WESTERN.test(text)) return 'Windows-1252 or another encoding of one byte a letter'
  return japaneseEncoding(start) ?? wideEncoding(start) ?? 'another encoding or binary data'
}

/** UTF-16 without a mark: every other byte is that of one block, mostly 0 or, in Japanese, 0x30. */
function wideEncoding(bytes: Uint8Array): string | undefined {
  const count = [0, 0]
  for (const [i, byte] of bytes.entries()) if (byte === 0 || byte === 0x30) count[i % 2]++
  const [even, odd] = count
  const most = Math.max(even, odd)
  if (most < 0.15 * bytes.length || Math.min(even, odd) > most / 4) return undefined
  return `${even > odd ? 'UTF-16BE' : 'UTF-16LE'} without a byte-order mark`
}

/** Both of them decode many texts of the other: the right one has kana of full width. */
function japaneseEncoding(bytes: Uint8Array): string | undefined {
  const scores = ['Shift_JIS', 'EUC-JP'].map((name) => {
    const text = new TextDecoder(name).decode(bytes)
    const count = (pattern: RegExp) => text.match(pattern)?.length ?? 0
    // A sample may end within a character.
    const broken = count(/\ufffd(?!$)/g)
    return { name, score: count(KANA) - count(HALF_WIDTH) - 8 * broken, broken }
  })
  const [best] = scores.sort((a, b) => b.score - a.score)
  if (best.broken > 0) return undefined
  return best.score > 0 ? best.name : `${best.name} or a similar encoding`
}

/** Where UTF-8 ends, in bytes from the beginning. */
function damageIn(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const step = SAMPLE_BYTES
  let from = 0
  try {
    for (; from < bytes.length - step; from += step) {
      decoder.decode(bytes.subarray(from, from + step), { stream: true })
    }
  } catch {
    // It is in this piece, or in a character that began in the one before.
  }
  let low = Math.max(0, from - 3)
  let high = Math.min(bytes.length, from + step)
  while (low > 0 && (bytes[low] & 0xc0) === 0x80) low--
  const start = low
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    try {
      const beginning = bytes.subarray(start, middle)
      new TextDecoder('utf-8', { fatal: true }).decode(beginning, { stream: true })
      low = middle
    } catch {
      high = middle - 1
    }
  }
  // Back to where the character began that has no end.
  while (low > start && !isUtf8(bytes.subarray(start, low))) low--
  return low
}

function refusal(name: string, encoding: string, at?: number): FormatError {
  const where = at === undefined ? '' : ` (byte ${at + 1})`
  const what = /^(damaged|UTF-32)/.test(encoding) ? encoding : `what seems to be ${encoding}`
  const remedy = encoding.startsWith('binary')
    ? 'Save it as plain text.'
    : 'Save it as UTF-8, e.g. with iconv.'
  return new FormatError(`Expected UTF-8 in ${name}, got ${what}${where}. ${remedy}`, {
    field: 'encoding',
    path: name,
  })
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
