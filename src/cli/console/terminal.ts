/**
 * Writing to a person or to a pipe: text that waits for a slow reader and ends quietly when the
 * reader is gone (`| head`), progress for terminals and for logs, and dim text where colour is wanted.
 */
import type { DownloadProgress, LoadProgress } from '../../generate/load/load-options.ts'
import { formatByteRate, formatProgress } from './quantities.ts'
import type { OutputStream, Surroundings } from './surroundings.ts'

/** True if escape sequences may be written to `stream`: see no-color.org. */
function hasColor(stream: OutputStream, env: Surroundings['env']): boolean {
  return stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
}

/** `text` in a weaker colour where the stream shows colours. */
export function dim(text: string, stream: OutputStream, env: Surroundings['env']): string {
  return hasColor(stream, env) ? `\u001b[2m${text}\u001b[22m` : text
}

/** Streams whose reader has gone. Node reopens process.stdout after EPIPE, so `writable` misses it. */
const closed = new WeakSet<OutputStream>()

/** False once the reader has closed the pipe. */
export function isOpen(stream: OutputStream): boolean {
  return stream.writable && !closed.has(stream)
}

/** For the streams of this process: a reader that goes away (`| head`) is no error. */
export function endQuietlyWhenClosed(stream: OutputStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    closed.add(stream)
  })
}

/**
 * Writes text and settles when the stream takes more.
 *
 * @returns false if the reader has closed the pipe
 */
function writeText(stream: OutputStream, text: string): Promise<boolean> {
  if (!isOpen(stream)) return Promise.resolve(false)
  if (text === '' || stream.write(text)) return Promise.resolve(true)
  return new Promise((resolve) => {
    const settle = (): void => {
      stream.off('drain', settle)
      stream.off('close', settle)
      stream.off('error', settle)
      resolve(isOpen(stream))
    }
    stream.on('drain', settle)
    stream.on('close', settle)
    stream.on('error', settle)
  })
}

export async function writeLine(stream: OutputStream, line = ''): Promise<void> {
  await writeText(stream, `${line}\n`)
}

/** Writes the text as it comes, with one line end. */
export async function streamText(
  pieces: AsyncIterable<string>,
  stdout: OutputStream,
): Promise<void> {
  let last = ''
  for await (const piece of pieces) {
    if (!(await writeText(stdout, piece))) break
    if (piece !== '') last = piece
  }
  if (!last.endsWith('\n')) await writeLine(stdout)
}

/** The one thing that `--json` writes to standard output. */
export async function writeJson(stream: OutputStream, value: unknown): Promise<void> {
  await writeText(stream, `${JSON.stringify(value)}\n`)
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

  show(text: string): void {
    if (text === this.#shown) return
    this.#shown = text
    if (this.#stream.isTTY === true) this.#stream.write(`\r\u001b[K${text}`)
    else if (this.#now() >= this.#nextLog) this.#log()
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
export function showLoadProgress(line: StatusLine): (progress: LoadProgress) => void {
  return ({ loadedBytes, totalBytes }) =>
    line.show(`Loading the model: ${formatProgress(loadedBytes, totalBytes)}`)
}

/** For `onDownload`: how much, how fast and how long yet on the status line. */
export function showDownloadProgress(line: StatusLine): (progress: DownloadProgress) => void {
  return ({ state, file, doneBytes, totalBytes, bytesPerSecond, secondsLeft }) => {
    if (state === 'waiting') {
      line.show(`Waiting for another process that is fetching ${file}`)
      return
    }
    if (state === 'verifying') {
      line.show(`Checking ${file}`)
      return
    }
    const speed = bytesPerSecond > 0 ? `, ${formatByteRate(Math.round(bytesPerSecond))}` : ''
    const left = secondsLeft === undefined ? '' : `, ${formatDuration(secondsLeft)} left`
    line.show(`Fetching ${file}: ${formatProgress(doneBytes, totalBytes)}${speed}${left}`)
  }
}

/** "1:05", or "2:03:00" from an hour on. */
function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds)
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  const rest = `${two((whole % 3600) / 60)}:${two(whole % 60)}`
  return whole < 3600 ? rest.replace(/^0/, '') : `${Math.floor(whole / 3600)}:${rest}`
}
