/**
 * Writes what hf-packed.ts reads: the four quarters of a matrix's rows as bit planes of bytes.
 */
import type { TernaryTensor } from '../model-file.ts'
import { weightsToCodes } from './code-words.ts'

/** About this many codes are in memory at a time. */
const CHUNK_CODES = 1 << 20

/** Packs codes (rows, cols) row-major into (ceil(rows / 4), cols) bytes. */
export function packHf(codes: Int8Array, rows: number, cols: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(rows / 4) * cols)
  addRows(bytes, { codes, first: 0, count: rows, cols })
  return bytes
}

/**
 * A whole matrix packed; its rows are read once, from the first to the last. The result, a quarter of
 * a byte a weight, is held in memory.
 */
export async function packHfTensor(tensor: TernaryTensor): Promise<Uint8Array> {
  const { rows, cols } = tensor
  const bytes = new Uint8Array(Math.ceil(rows / 4) * cols)
  const step = Math.min(rows, Math.max(1, Math.floor(CHUNK_CODES / cols)))
  const codes = new Int8Array(step * cols)
  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first)
    await tensor.readCodes(first, count, codes)
    addRows(bytes, { codes, first, count, cols })
  }
  return bytes
}

interface RowsToPack {
  readonly codes: Int8Array
  readonly first: number
  readonly count: number
  readonly cols: number
}

function addRows(bytes: Uint8Array, { codes, first, count, cols }: RowsToPack): void {
  const byteRows = bytes.length / cols
  const byWords = cols % 4 === 0 && codes.byteOffset % 4 === 0
  const packed = new Int32Array(bytes.buffer, 0, bytes.length >> 2)
  const weights = byWords ? new Int32Array(codes.buffer, codes.byteOffset, codes.length >> 2) : null
  for (let r = 0; r < count; r++) {
    const plane = Math.floor((first + r) / byteRows)
    const to = (first + r - plane * byteRows) * cols
    if (weights !== null) {
      const [target, source] = [to >> 2, (r * cols) >> 2]
      for (let w = 0; w < cols >> 2; w++) {
        packed[target + w] |= weightsToCodes(weights[source + w]) << (2 * plane)
      }
    } else {
      for (let c = 0; c < cols; c++) bytes[to + c] |= (codes[r * cols + c] + 1) << (2 * plane)
    }
  }
}
