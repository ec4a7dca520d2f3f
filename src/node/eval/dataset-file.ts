/**
 * One dataset's file on disk as rows: parquet, JSONL, and the plain text that a task may have, packed by
 * bzip2 or not.
 */
import { readFile, stat } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { messageOf } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import type { DatasetRow, EvalTask } from '../../eval/task.ts'
import { parseObject } from '../../formats/json-text.ts'
import { decodeText, MAX_TEXT_BYTES } from '../files/text-encoding.ts'

/** Ten times the largest set there is, HellaSwag's training split. */
const MAX_FILE_BYTES = MAX_TEXT_BYTES
const MAX_ROWS = 5_000_000
/** Of JavaScript objects: the rows of the largest set take a tenth of it. */
const MAX_HEAP_MB = 2048
/** Characters of JSON that take some 20 ms. */
const CHARACTERS_AT_ONCE = 2 << 20
/** Time to read a file: so much, and for each second as many bytes, a tenth of what slow machines do. */
const READING_SECONDS = 10
const BYTES_PER_SECOND = 1 << 20

/** Endings that a task's file may have, in the order they are looked for. */
export function datasetEndings({ plainText }: EvalTask): readonly string[] {
  return ['.jsonl', '.parquet', ...(plainText?.endings ?? [])]
}

/** @throws FormatError if the file is damaged, too large, or of another form; the signal's reason */
export async function readDatasetFile(
  path: string,
  task: EvalTask,
  signal?: AbortSignal,
): Promise<DatasetRow[]> {
  const { size } = await stat(path)
  if (size > MAX_FILE_BYTES) {
    throw new FormatError(
      `Expected a dataset of at most ${MAX_FILE_BYTES} bytes at ${path}, got ${size}.`,
      { field: 'size', path },
    )
  }
  if (path.endsWith('.parquet')) return readInWorker(path, size, 'a parquet file', signal)
  const bytes = path.endsWith('.bz2')
    ? await readInWorker<Uint8Array>(path, size, 'bzip2 data', signal)
    : await readFile(path, { signal })
  // A mark in front, which the decoder leaves out, and line ends of Windows are no part of the items.
  const text = decodeText(bytes, path).replaceAll('\r\n', '\n')
  return path.endsWith('.jsonl')
    ? await jsonlRows(text, path, signal)
    : (task.plainText?.rows(text, path) ?? [])
}

/** Rows of JSONL. @throws FormatError naming the line; the signal's reason */
async function jsonlRows(
  text: string,
  path: string,
  signal: AbortSignal | undefined,
): Promise<DatasetRow[]> {
  const rows: DatasetRow[] = []
  let [start, line, parsed] = [0, 0, 0]
  while (start < text.length) {
    const found = text.indexOf('\n', start)
    const end = found < 0 ? text.length : found
    const one = text.slice(start, end)
    ;[start, line, parsed] = [end + 1, line + 1, parsed + one.length]
    if (one.trim() === '') continue
    const row = parseObject(one)
    if (row === undefined) {
      throw new FormatError(`Expected a JSON object on line ${line} of ${path}.`, {
        field: `line ${line}`,
        path,
      })
    }
    rows.push(row)
    if (parsed < CHARACTERS_AT_ONCE) continue
    parsed = 0
    await setImmediate()
    signal?.throwIfAborted()
  }
  return rows
}

/**
 * What dataset-worker.js makes of a file. The worker is ended when its time is over and when the signal
 * says so.
 */
function readInWorker<T>(
  path: string,
  bytes: number,
  form: string,
  signal: AbortSignal | undefined,
): Promise<T> {
  signal?.throwIfAborted()
  const worker = new Worker(new URL(/* @vite-ignore */ './dataset-worker.js', import.meta.url), {
    workerData: { path, maxRows: MAX_ROWS, maxTextBytes: MAX_TEXT_BYTES },
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    execArgv: [],
    // What the library says of a file is not for the terminal.
    ...{ stdout: true, stderr: true },
  })
  const seconds = READING_SECONDS + Math.ceil(bytes / BYTES_PER_SECOND)
  return new Promise<T>((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(
        new FormatError(
          `Expected ${form} at ${path}, but it cannot be read: ${why}. Fetch it again.`,
          { field: form, path, cause },
        ),
      )
    const timer = setTimeout(() => fail(`it is not done after ${seconds} s`), seconds * 1000)
    const abort = () => reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    worker.once('message', resolve)
    worker.once('error', (error) => fail(messageOf(error), error))
    worker.once('exit', () => fail('its reader ended without a result'))
    worker.once('exit', () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    })
  }).finally(() => worker.terminate())
}
