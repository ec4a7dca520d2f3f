/**
 * Buffers of indices: token ids, slots, positions and row numbers, by which kernels find addresses. Each
 * column has a limit that was declared with the buffer. What is written is checked against it, and a
 * command takes only columns whose limit is not above its own, so that no kernel has to look.
 */
import { isWhole } from '../checks.ts'
import { ShapeError } from '../errors.ts'

/** One column of an index buffer's rows of int32. */
export interface IndexColumn {
  /** What the values are, for messages: "token". */
  readonly name: string
  /** Values are in [0, limit). */
  readonly limit: number
}

const WORD = 4
const MAX_LIMIT = 2 ** 31

/**
 * Bytes of an index buffer.
 *
 * @throws ShapeError unless there are rows and columns, and each column has a limit that 0 is below
 */
export function indexByteLength(
  rows: number,
  columns: readonly IndexColumn[],
  label: string,
): number {
  if (!isWhole(rows, 1) || columns.length === 0) {
    throw new ShapeError(
      `Expected rows and columns of indices for "${label}", got ${rows} and ${columns.length}.`,
    )
  }
  for (const { name, limit } of columns) {
    if (isWhole(limit, 1, MAX_LIMIT)) continue
    throw new ShapeError(
      `Expected the limit of ${name} in "${label}" to be from 1 to ${MAX_LIMIT}, got ${limit}.`,
    )
  }
  return rows * columns.length * WORD
}

/**
 * Checks what is to be written to an index buffer, whole int32 from `byteOffset` on.
 *
 * @throws ShapeError naming the first value that is out of its column's range
 */
export function checkIndices(
  label: string,
  columns: readonly IndexColumn[],
  byteOffset: number,
  bytes: Uint8Array<ArrayBuffer>,
): void {
  if (byteOffset % WORD !== 0 || bytes.byteLength % WORD !== 0) {
    throw new ShapeError(
      `Expected whole int32 to write to "${label}", got ${bytes.byteLength} bytes at ${byteOffset}.`,
    )
  }
  const first = byteOffset / WORD
  const values = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.byteLength; at += WORD) {
    const word = first + at / WORD
    const { name, limit } = columns[word % columns.length]
    const value = values.getInt32(at, true)
    if (value >= 0 && value < limit) continue
    throw new ShapeError(
      `Expected the ${name} of row ${Math.floor(word / columns.length)} in buffer "${label}" to be ` +
        `from 0 to ${limit - 1}, got ${value}.`,
    )
  }
}
