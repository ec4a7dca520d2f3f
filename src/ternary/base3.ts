/**
 * The second packed layout, 1.6 bits a weight, for processors that can unpack it as fast as memory
 * brings it: five weights in a byte, as a number to the base 3.
 *
 * A tile is 16 rows x 20 columns in 64 bytes; lane r of 32 bits belongs to row r. With t = w + 1, byte j
 * (0..3) of a lane holds the columns 4p + j for p = 0..4:
 *
 *   t(j) + 3 t(4 + j) + 9 t(8 + j) + 27 t(12 + j) + 81 t(16 + j)
 *
 * Tiles and stripes run as in pack.ts. Columns past the end have t = 0, so that whatever lies behind
 * the activations there does not count; rows past the end are all 1 (weight 0).
 */
import { ShapeError } from '../errors.ts'
import { type PackedTernary, padToTile, TILE, TILE_BYTES } from './pack.ts'

/** Columns of a tile. */
export const BASE3_TILE = 20
const POWERS = [1, 3, 9, 27, 81]
/** Five codes of weight 0. */
const ZEROS = 121

/** Bytes of one stripe: 16 rows of a matrix with `cols` columns. */
export function base3StripeByteLength(cols: number): number {
  return Math.ceil(cols / BASE3_TILE) * TILE_BYTES
}

/** Bytes of a matrix, (rows, cols). */
export function base3ByteLength(rows: number, cols: number): number {
  return (padToTile(rows) / TILE) * base3StripeByteLength(cols)
}

/**
 * Packs rows [firstRow, firstRow + rows) of a matrix; as packRows of pack.ts.
 *
 * @param codes -1, 0 or +1, (rows, matrix.cols) row-major
 */
export function packBase3Rows(
  matrix: PackedTernary,
  codes: Int8Array,
  rows: number,
  firstRow: number,
): void {
  const { cols, bytes } = matrix
  const stripe = base3StripeByteLength(cols)
  const endRow = firstRow + rows
  const paddedEnd = endRow === matrix.rows ? padToTile(endRow) : endRow
  for (let row = firstRow; row < paddedEnd; row++) {
    const lane = (row >> 4) * stripe + (row & 15) * 4
    const from = (row - firstRow) * cols
    for (let tile = 0; tile * TILE_BYTES < stripe; tile++) {
      for (let j = 0; j < 4; j++) {
        let value = row < endRow ? 0 : ZEROS
        for (let p = 0; row < endRow && p < 5; p++) {
          const col = tile * BASE3_TILE + 4 * p + j
          if (col < cols) value += (codes[from + col] + 1) * POWERS[p]
        }
        bytes[lane + tile * TILE_BYTES + j] = value
      }
    }
  }
}

/** Packs a matrix of ternary codes, (rows, cols) row-major. @throws ShapeError on another count */
export function packBase3(codes: Int8Array, rows: number, cols: number): PackedTernary {
  if (codes.length !== rows * cols) {
    throw new ShapeError(`Expected ${rows} x ${cols} = ${rows * cols} codes, got ${codes.length}.`)
  }
  const matrix = { rows, cols, bytes: new Uint8Array(base3ByteLength(rows, cols)) }
  packBase3Rows(matrix, codes, rows, 0)
  return matrix
}

/** The codes of a matrix, (rows, cols) row-major: the inverse of {@link packBase3}. */
export function unpackBase3({ rows, cols, bytes }: PackedTernary): Int8Array {
  const codes = new Int8Array(rows * cols)
  const stripe = base3StripeByteLength(cols)
  for (let row = 0; row < rows; row++) {
    const lane = (row >> 4) * stripe + (row & 15) * 4
    for (let col = 0; col < cols; col++) {
      const tile = Math.floor(col / BASE3_TILE)
      const within = col - tile * BASE3_TILE
      const byte = bytes[lane + tile * TILE_BYTES + (within & 3)]
      codes[row * cols + col] = (Math.floor(byte / POWERS[within >> 2]) % 3) - 1
    }
  }
  return codes
}
