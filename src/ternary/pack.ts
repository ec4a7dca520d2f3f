/**
 * The one packed layout for ternary weights. Every backend reads it; none has its own.
 *
 * A tile is 16 rows x 16 columns of weights in 64 bytes. Seen as sixteen 32-bit lanes, lane r belongs
 * to row r of the tile. A weight w in {-1, 0, +1} is stored as the code w + 1. In byte j (0..3) of a
 * lane:
 *
 *   bits 1:0  column j         bits 5:4  column 8 + j
 *   bits 3:2  column 4 + j     bits 7:6  column 12 + j
 *
 * Tiles run along the columns first, then to the next 16 rows; 16 rows of tiles are called a stripe.
 * Rows and columns pad to 16 with code 1 (weight 0).
 *
 * Why: `(lane >> 2p) & 0x03030303` is four neighbouring columns of one row, ready for a dot product
 * with one word of four int8 activations that all rows share. A row's sum stays in its lane, so there
 * is no horizontal sum, and memory is read strictly forward.
 */
import { ShapeError } from '../errors.ts'

/** Rows and columns of a tile. */
export const TILE = 16
/** Bytes of a tile: 256 weights at 2 bits. */
export const TILE_BYTES = 64
/** Four codes of weight 0. */
const PADDING_BYTE = 0b01010101

/** A ternary matrix in tiles. */
export interface PackedTernary {
  readonly rows: number
  readonly cols: number
  /** {@link packedByteLength}(rows, cols) bytes in the layout above. */
  readonly bytes: Uint8Array
}

/** `n` rounded up to whole tiles. */
export function padToTile(n: number): number {
  return Math.ceil(n / TILE) * TILE
}

/** Bytes of a packed matrix, (rows, cols). */
export function packedByteLength(rows: number, cols: number): number {
  return (padToTile(rows) * padToTile(cols)) / 4
}

/** Bytes of one stripe: 16 rows of a matrix with `cols` columns. */
export function stripeByteLength(cols: number): number {
  return padToTile(cols) * 4
}

/**
 * Packs rows [firstRow, firstRow + rows) of a matrix, so that it can be built piece by piece. With the
 * last row of the matrix, the padding rows of its stripe are written too.
 *
 * @param codes -1, 0 or +1, (rows, matrix.cols) row-major
 */
export function packRows(
  matrix: PackedTernary,
  codes: Int8Array,
  rows: number,
  firstRow: number,
): void {
  const { cols, bytes } = matrix
  const stripe = stripeByteLength(cols)
  const endRow = firstRow + rows
  const paddedEnd = endRow === matrix.rows ? padToTile(endRow) : endRow
  for (let row = firstRow; row < paddedEnd; row++) {
    const lane = (row >> 4) * stripe + (row & 15) * 4
    for (let at = lane; at < lane + stripe; at += TILE_BYTES) bytes.fill(PADDING_BYTE, at, at + 4)
    if (row >= endRow) continue
    const from = (row - firstRow) * cols
    for (let c = 0; c < cols; c++) {
      const w = codes[from + c]
      if (w === 0) continue // padding already says so
      const at = lane + (c >> 4) * TILE_BYTES + (c & 3)
      const shift = ((c >> 2) & 3) * 2
      // 01 becomes 10 for +1 and 00 for -1: flip both bits or the low one.
      bytes[at] ^= (w > 0 ? 0b11 : 0b01) << shift
    }
  }
}

/**
 * Packs a matrix of ternary codes.
 *
 * @param codes -1, 0 or +1, (rows, cols) row-major
 */
export function packTernary(codes: Int8Array, rows: number, cols: number): PackedTernary {
  if (codes.length !== rows * cols) {
    throw new ShapeError(`Expected ${rows} x ${cols} = ${rows * cols} codes, got ${codes.length}.`)
  }
  const matrix = { rows, cols, bytes: new Uint8Array(packedByteLength(rows, cols)) }
  packRows(matrix, codes, rows, 0)
  return matrix
}

/** The weight at one place, -1, 0 or +1. For tests and small tools; kernels read whole tiles. */
export function weightAt(matrix: PackedTernary, row: number, col: number): number {
  const tile = (row >> 4) * (padToTile(matrix.cols) / TILE) + (col >> 4)
  const byte = matrix.bytes[tile * TILE_BYTES + (row & 15) * 4 + (col & 3)]
  return ((byte >> (((col >> 2) & 3) * 2)) & 3) - 1
}

/** The codes of a packed matrix, (rows, cols) row-major: the inverse of {@link packTernary}. */
export function unpackTernary(matrix: PackedTernary): Int8Array {
  const { rows, cols } = matrix
  const codes = new Int8Array(rows * cols)
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) codes[row * cols + col] = weightAt(matrix, row, col)
  }
  return codes
}
