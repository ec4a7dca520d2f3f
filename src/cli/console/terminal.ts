/**
 * Writing to a person or to a pipe: text that waits for a slow reader and ends quietly when the
 * reader is gone (`| head`), progress for terminals and for logs, and remarks, dim where colour is wanted.
 */
import { BitnetError } from '../../errors.ts'
import type { DownloadProgress, LoadProgress } from '../../generate/load/load-options.ts'
import { cleanJson, cleanText } from './clean-text.ts'
import { isSystemError, reasonOf } from './failure.ts'
import type { FrameTexts } from './frame-texts.ts'
import { formatByteRate } from './quantities.ts'
import { type OutputStream, type Surroundings, USUAL_COLUMNS } from './surroundings.ts'
import { proseFor, shortened, WordFlow } from './wrap.ts'

/** True if escape sequences may be written to `stream`: see no-color.org. */
function hasColor(stream: OutputStream, env: Surroundings['env']): boolean {
  return stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
}

/** A stream cannot be written: its disk is full, or it is closed. */
class OutputError extends BitnetError {
  constructor(reason: string) {
    super('OUTPUT', `Cannot write standard output: ${reason}.`)
  }
}

/** Why streams end. Node reopens process.stdout after EPIPE, so `writable` misses it. */
const endings = new WeakMap<OutputStream, Error>()
/** Streams that have taken something. */
const used = new WeakSet<OutputStream>()

/** False once the reader has closed the pipe, or nothing more can be written. */
export function isOpen(stream: OutputStream): boolean {
  return stream.writable && !endings.has(stream)
}

/** For the streams of this process: errors are kept until the next write, or {@link flush}. */
export function keepErrors(stream: OutputStream): void {
  stream.on('error', (error) => endings.set(stream, endings.get(stream) ?? error))
}

/**
 * Waits for what was written without waiting.
 *
 * @throws OutputError as {@link writeText}
 */
export async function flush(stream: OutputStream): Promise<void> {
  if (stream.writable) await handOver(stream, '')
  // A stream that has just failed says why in the next turn.
  else await new Promise((resolve) => setImmediate(resolve))
  checkEnding(stream)
}

/**
 * Writes text and settles when the stream has taken it.
 *
 * @returns false if the reader has closed the pipe
 * @throws OutputError if it cannot be written, or the reader was gone before the first byte
 */
async function writeText(stream: OutputStream, text: string): Promise<boolean> {
  if (isOpen(stream) && text !== '') await handOver(stream, text)
  checkEnding(stream)
  return isOpen(stream)
}

/** Writes for whoever does not wait; {@link flush} tells what became of it. */
export function writeSoon(stream: OutputStream, text: string): void {
  void handOver(stream, text)
}

/** Settles when the text is written or never will be. */
function handOver(stream: OutputStream, text: string): Promise<void> {
  return new Promise((resolve) => {
    const settle = (error?: Error | null): void => {
      stream.off('close', settle)
      if (error) endings.set(stream, endings.get(stream) ?? error)
      resolve()
    }
    stream.on('close', settle)
    stream.write(text, (error) => {
      // Also where a later text was refused before this is told.
      if (!error && text !== '') used.add(stream)
      settle(error)
    })
  })
}

/** A reader who has seen enough (`| head`) is no failure. */
function checkEnding(stream: OutputStream): void {
  const error = endings.get(stream)
  if (error === undefined) return
  const { code } = error as NodeJS.ErrnoException
  const isClosed = code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED'
  if (isClosed && used.has(stream)) return
  throw new OutputError(
    isClosed ? 'its reader is gone' : isSystemError(error) ? reasonOf(error) : error.message,
  )
}

/** On a terminal without what would steer it. */
export async function writeLine(stream: OutputStream, line = ''): Promise<void> {
  await writeText(stream, `${shown(line, stream)}\n`)
}

/** What is said to a person: on a terminal no word is cut at its edge. */
export async function writeProse(
  stream: OutputStream,
  text: string,
  env: Surroundings['env'],
): Promise<void> {
  await writeText(stream, `${prose(text, stream, env)}\n`)
}

/** The same in a weaker colour where the stream shows colours. */
export async function writeRemark(
  stream: OutputStream,
  line: string,
  env: Surroundings['env'],
): Promise<void> {
  const clean = prose(line, stream, env)
  await writeText(stream, hasColor(stream, env) ? `\u001b[2m${clean}\u001b[22m\n` : `${clean}\n`)
}

function prose(text: string, stream: OutputStream, env: Surroundings['env']): string {
  return proseFor(stream, shown(text, stream), env)
}

/** What a stream is shown of a text: a pipe all of it, as it may be wanted whole. */
function shown(text: string, stream: OutputStream, instead?: string): string {
  return stream.isTTY === true ? cleanText(text, instead) : text
}

/**
 * Writes the text as it comes, with one line end; on a terminal without what would steer it, and with words
 * that are whole.
 */
export async function streamText(
  pieces: AsyncIterable<string>,
  stdout: OutputStream,
): Promise<void> {
  const flow = new WordFlow(stdout.isTTY === true ? stdout.columns : undefined)
  let last = ''
  for await (const piece of pieces) {
    if (!(await writeText(stdout, flow.push(shown(piece, stdout, '\ufffd'))))) break
    if (piece !== '') last = piece
  }
  await writeText(stdout, flow.end())
  if (!last.endsWith('\n')) await writeLine(stdout)
}

/** The one thing that `--json` writes to standard output. */
export async function writeJson(stream: OutputStream, value: object): Promise<void> {
  let text = ''
  for (const piece of jsonPieces(value)) {
    text += cleanJson(piece)
    if (text.length < PIECE_CHARS) continue
    if (!(await writeText(stream, text))) return
    text = ''
  }
  await writeText(stream, `${text}\n`)
}

const PIECE_CHARS = 1 << 16

/** Lists entry by entry: all vectors of a large file are a longer text than V8 can hold. */
function* jsonPieces(value: object): Generator<string> {
  let opening = '{'
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue
    yield `${opening}${JSON.stringify(name)}:`
    opening = ','
    if (!Array.isArray(field)) {
      yield JSON.stringify(field)
      continue
    }
    for (const [i, entry] of field.entries())
      yield `${i === 0 ? '[' : ','}${JSON.stringify(entry ?? null)}`
    yield field.length === 0 ? '[]' : ']'
  }
  yield opening === '{' ? '{}' : '}'
}

/** Between lines of progress in a log: a run of hours stays readable. */
const LOG_INTERVAL_MS = 10_000

/**
 * Progress: a line that is rewritten in place on a terminal. Elsewhere (a log, CI) plain lines, at most
 * one every ten seconds, and the last state where there were any: what takes less leaves no trace.
 */
export class StatusLine {
  readonly #stream: OutputStream
  readonly #now: () => number
  #shown = ''
  /** The last line in the log. */
  #logged = ''
  #nextLog: number

  /** @param now milliseconds since some moment; tests have a clock of their own */
  constructor(stream: OutputStream, now = () => performance.now()) {
    this.#stream = stream
    this.#now = now
    this.#nextLog = now() + LOG_INTERVAL_MS
  }

  show(status: string): void {
    const { isTTY, columns = USUAL_COLUMNS } = this.#stream
    // A name may have line ends, which would leave lines behind.
    const whole = shown(status.replaceAll(/[\n\t]/g, ' '), this.#stream)
    // A line that goes on in the next one cannot be rewritten.
    const text = isTTY === true ? shortened(whole, columns - 1) : whole
    if (text === this.#shown) return
    this.#shown = text
    if (this.#stream.isTTY === true) this.#stream.write(`\r\u001b[K${text}`)
    else if (this.#now() >= this.#nextLog) this.#log()
  }

  /** Tells what is waited for, or how far it is, unless that can be seen already. */
  say(what: string): void {
    if (this.#stream.isTTY === true) {
      if (this.#shown === '') this.show(what)
    } else if (this.#logged === '') {
      if (this.#shown === '') this.#shown = what
      this.#log()
    }
  }

  clear(): void {
    if (this.#shown === '') return
    if (this.#stream.isTTY === true) this.#stream.write('\r\u001b[K')
    else if (this.#logged !== '') this.#log()
    this.#shown = ''
  }

  #log(): void {
    if (isOpen(this.#stream) && this.#shown !== this.#logged) this.#stream.write(`${this.#shown}\n`)
    this.#logged = this.#shown
    this.#nextLog = this.#now() + LOG_INTERVAL_MS
  }
}

/** For `LoadOptions.onProgress`: percent and bytes on the status line. */
export function showLoadProgress(
  line: StatusLine,
  texts: FrameTexts,
): (progress: LoadProgress) => void {
  return ({ loadedBytes, totalBytes }) => line.show(texts.loading(loadedBytes, totalBytes))
}

/** For `onDownload`: how much, how fast and how long yet on the status line. */
export function showDownloadProgress(
  line: StatusLine,
  texts: FrameTexts,
): (progress: DownloadProgress) => void {
  return ({ state, file, doneBytes, totalBytes, bytesPerSecond, secondsLeft }) => {
    if (state === 'waiting') {
      line.show(texts.waitingForOther(file))
      return
    }
    if (state === 'verifying') {
      line.show(texts.checking(file))
      return
    }
    const speed = bytesPerSecond > 0 ? `, ${formatByteRate(Math.round(bytesPerSecond))}` : ''
    const left = secondsLeft === undefined ? '' : texts.left(formatDuration(secondsLeft))
    line.show(`${texts.fetching(file, doneBytes, totalBytes)}${speed}${left}`)
  }
}

/** "1:05", or "2:03:00" from an hour on. */
function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds)
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  const rest = `${two((whole % 3600) / 60)}:${two(whole % 60)}`
  return whole < 3600 ? rest.replace(/^0/, '') : `${Math.floor(whole / 3600)}:${rest}`
}
