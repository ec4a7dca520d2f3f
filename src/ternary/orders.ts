/**
 * Two orders of a packed matrix for products that leave parts of it out, beside the stripes of pack.ts and
 * base3.ts. What a feed-forward leaves out is known when its gate is: rows of `up`, columns of `down`.
 *
 *   gated     `gate` over `up`. The first half of the rows is in stripes; of the second half, each row's
 *             words (lanes of its tiles) follow one another, so that a row can be read alone. Rows of a half
 *             are a multiple of 16. The bytes are as many as in stripes, and a line that is read and not used:
 *             rows are read in whole lines, wherever they end.
 *   columns   2 bits only. Panels of 256 rows; of a panel, each column is one line of 64 bytes, so that a
 *             column can be read alone. Byte b of a line has the rows b, 64 + b, 128 + b and 192 + b in its
 *             bits 1:0, 3:2, 5:4 and 7:6. Rows past the end have code 1 (weight 0); columns do not pad.
 */
import { BASE3_TILE, base3ByteLength, packBase3 } from './base3.ts'
import { type PackedTernary, packedByteLength, packTernary, TILE, TILE_BYTES } from './pack.ts'

export const TERNARY_ORDERS = ['stripes', 'gated', 'columns'] as const
export type TernaryOrder = (typeof TERNARY_ORDERS)[number]

/** Rows of a panel, and bytes of a column in it. */
export const COLUMN_PANEL_ROWS = 256
export const COLUMN_LINE_BYTES = 64

/** Bytes of a matrix (rows, cols) in the order 'gated'. */
export function gatedByteLength(rows: number, cols: number, packing: '2bit' | 'base3'): number {
  return TILE_BYTES + (packing === 'base3' ? base3ByteLength : packedByteLength)(rows, cols)
}

/** Bytes of a matrix (rows, cols) in the order of columns. */
export function columnsByteLength(rows: number, cols: number): number {
  return Math.ceil(rows / COLUMN_PANEL_ROWS) * cols * COLUMN_LINE_BYTES
}

/** Where the word of a row in a tile lies, in words, with so many tiles a row. */
function wordPlace(order: TernaryOrder, rows: number, tiles: number, row: number, tile: number) {
  if (order === 'gated' && row >= rows / 2) return row * tiles + tile
  return (row - (row % TILE)) * tiles + tile * TILE + (row % TILE)
}

/** As packRows of pack.ts, in the order 'gated' of either packing. */
export function packGatedRows(
  matrix: PackedTernary,
  codes: Int8Array,
  rows: number,
  firstRow: number,
  packing: '2bit' | 'base3' = '2bit',
): void {
  const { cols, bytes } = matrix
  const [tileCols, pack] = packing === 'base3' ? [BASE3_TILE, packBase3] : [TILE, packTernary]
  const tiles = Math.ceil(cols / tileCols)
  for (let i = 0; i < rows; i++) {
    const one = pack(codes.subarray(i * cols, (i + 1) * cols), 1, cols).bytes
    for (let tile = 0; tile < tiles; tile++) {
      const at = wordPlace('gated', matrix.rows, tiles, firstRow + i, tile)
      bytes.set(one.subarray(tile * TILE_BYTES, tile * TILE_BYTES + 4), at * 4)
    }
  }
}

/** As packRows of pack.ts, in the order of columns; with the last row, the rows past it are written too. */
export function packColumns(
  { rows: matrixRows, cols, bytes }: PackedTernary,
  codes: Int8Array,
  rows: number,
  firstRow: number,
): void {
  const endRow = firstRow + rows
  const padded =
    endRow === matrixRows ? Math.ceil(endRow / COLUMN_PANEL_ROWS) * COLUMN_PANEL_ROWS : endRow
  for (let row = firstRow; row < padded; row++) {
    const shift = 2 * ((row % COLUMN_PANEL_ROWS) >> 6)
    for (let col = 0; col < cols; col++) {
      const at = columnPlace(cols, row, col)
      const code = row < endRow ? codes[(row - firstRow) * cols + col] + 1 : 1
      bytes[at] = (bytes[at] & ~(3 << shift)) | (code << shift)
    }
  }
}

/** The same matrix in stripes. */
export function inStripes(
  { rows, cols, bytes }: PackedTernary,
  order: TernaryOrder,
  packing: '2bit' | 'base3' = '2bit',
): PackedTernary {
  if (order === 'stripes') return { rows, cols, bytes }
  if (order === 'columns') return packTernary(codesOfColumns({ rows, cols, bytes }), rows, cols)
  const tiles = Math.ceil(cols / (packing === 'base3' ? BASE3_TILE : TILE))
  const stripes = new Uint8Array(rows * tiles * 4)
  for (let row = 0; row < rows; row++) {
    for (let tile = 0; tile < tiles; tile++) {
      const from = wordPlace(order, rows, tiles, row, tile) * 4
      stripes.set(bytes.subarray(from, from + 4), wordPlace('stripes', rows, tiles, row, tile) * 4)
    }
  }
  return { rows, cols, bytes: stripes }
}

function columnPlace(cols: number, row: number, col: number): number {
  const panel = (row - (row % COLUMN_PANEL_ROWS)) / COLUMN_PANEL_ROWS
  return (panel * cols + col) * COLUMN_LINE_BYTES + (row % COLUMN_LINE_BYTES)
}

function codesOfColumns({ rows, cols, bytes }: PackedTernary): Int8Array {
  const codes = new Int8Array(rows * cols)
  for (let row = 0; row < rows; row++) {
    const shift = 2 * ((row % COLUMN_PANEL_ROWS) >> 6)
    for (let col = 0; col < cols; col++) {
      codes[row * cols + col] = ((bytes[columnPlace(cols, row, col)] >> shift) & 3) - 1
    }
  }
  return codes
}
