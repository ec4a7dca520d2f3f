/**
 * One dataset's file on disk as rows: parquet, JSONL, and the plain text that a task may have, packed by
 * bzip2 or not.
 */
import { readFile, stat } from 'node:fs/promises'
import { messageOf, parseObject } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import type { DatasetRow, EvalTask } from '../../eval/task.ts'

/** Ten times the largest set there is, HellaSwag's training split. */
const MAX_FILE_BYTES = 512 << 20
const MAX_TEXT_BYTES = 512 << 20
const MAX_ROWS = 5_000_000

/** Endings that a task's file may have, in the order they are looked for. */
export function datasetEndings({ plainText }: EvalTask): readonly string[] {
  return ['.jsonl', '.parquet', ...(plainText?.endings ?? [])]
}

/** @throws FormatError if the file is damaged, too large, or of another form */
export async function readDatasetFile(path: string, task: EvalTask): Promise<DatasetRow[]> {
  const { size } = await stat(path)
  if (size > MAX_FILE_BYTES) {
    throw new FormatError(
      `Expected a dataset of at most ${MAX_FILE_BYTES} bytes at ${path}, got ${size}.`,
      { field: 'size', path },
    )
  }
  if (path.endsWith('.parquet')) return readParquet(path)
  const bytes = await readFile(path)
  const text = path.endsWith('.bz2') ? await unpacked(bytes, path) : bytes.toString('utf8')
  return path.endsWith('.jsonl') ? jsonlRows(text, path) : (task.plainText?.rows(text, path) ?? [])
}

/** Rows of JSONL. @throws FormatError naming the line */
function jsonlRows(text: string, path: string): DatasetRow[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return []
    const row = parseObject(line)
    if (row !== undefined) return [row]
    throw new FormatError(`Expected a JSON object on line ${i + 1} of ${path}.`, {
      field: `line ${i + 1}`,
      path,
    })
  })
}

async function readParquet(path: string): Promise<DatasetRow[]> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import(
    'hyparquet'
  )
  const file = await asyncBufferFromFile(path)
  try {
    const metadata = await parquetMetadataAsync(file)
    if (metadata.num_rows > MAX_ROWS) {
      throw new Error(`it has ${metadata.num_rows} rows, more than ${MAX_ROWS}`)
    }
    return await parquetReadObjects({ file, metadata })
  } catch (error) {
    const why = messageOf(error)
    throw new FormatError(
      `Expected a parquet file at ${path}, but it cannot be read: ${why}. Fetch it again.`,
      { field: 'parquet', path, cause: error },
    )
  }
}

async function unpacked(bytes: Buffer, path: string): Promise<string> {
  const { default: Bunzip } = await import('seek-bzip')
  let text = Buffer.alloc(1 << 20)
  let length = 0
  const writeByte = (byte: number): void => {
    if (length === text.length) {
      if (length >= MAX_TEXT_BYTES)
        throw new Error(`it unpacks to more than ${MAX_TEXT_BYTES} bytes`)
      text = Buffer.concat([text], 2 * length)
    }
    text[length++] = byte
  }
  try {
    Bunzip.decode(bytes, { writeByte })
  } catch (error) {
    const why = messageOf(error)
    throw new FormatError(
      `Expected bzip2 data at ${path}, but it cannot be unpacked: ${why}. Fetch it again.`,
      { field: 'bzip2', path, cause: error },
    )
  }
  return text.toString('utf8', 0, length)
}
