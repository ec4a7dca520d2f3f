/**
 * The packed layout of dense matrices, by type. Rows go in stripes of 16, padded with zero rows, so
 * that a row's sum stays in its lane and memory is read strictly forward, as with ternary tiles.
 *
 *   f32   element (r, c) is float ((r >> 4) * cols + c) * 16 + (r & 15)
 *   f16   the same index, in halves
 *   int8  columns pad to 4; element (r, c) is byte
 *         (((r >> 4) * cols4 / 4 + (c >> 2)) * 16 + (r & 15)) * 4 + (c & 3), cols4 the padded columns,
 *         holding w + 128; padding holds 128
 *   int4  the same bytes cut into nibbles, in two planes of equal length: the high nibbles of the
 *         whole matrix, then the low ones. In each, columns pad to 8; the nibble of element (r, c) is in
 *         byte (((r >> 4) * cols8 / 8 + (c >> 3)) * 16 + (r & 15)) * 4 + (c & 3), in the byte's low half
 *         for c & 4 = 0 and in its high half otherwise
 *
 * int8 and int4 have a float32 scale a row, max|row| / 127, and w = round(value * (127 / max|row|)),
 * half to even; value = w * scale. Scales pad to whole stripes with 0. A row that holds an infinity or
 * NaN gets the scale Infinity and w = 0, so that scales tell whether all values were finite.
 *
 * int4 holds exactly what int8 does. The high plane alone, half the bytes, tells w to within 7.5: with
 * h = (w + 128) >> 4, w = 16 h - 120.5 + e, e from -7.5 to 7.5. Cutting rather than rounding needs no
 * seventeenth nibble for 127 and leaves an error without a bias.
 */
import { ShapeError } from '../../errors.ts'
import { padToTile, roundHalfEven, TILE } from '../../ternary/index.ts'
import { float16Table, float32ToFloat16 } from '../float16.ts'
import type { DenseType } from '../storage.ts'

const f = Math.fround

/** What int8 weights are stored with, to be unsigned bytes. */
const INT8_BIAS = 128

/** A dense matrix in memory. */
export interface PackedDense {
  readonly type: DenseType
  readonly rows: number
  readonly cols: number
  /** {@link denseByteLength} bytes in the layout above, at a multiple of 4 in their buffer. */
  readonly data: Uint8Array
  /** Only for int8 and int4: padToTile(rows) values. */
  readonly scales: Float32Array | undefined
}

/** Types with a scale a row. */
export function hasRowScales(type: DenseType): boolean {
  return type === 'int8' || type === 'int4'
}

/** Bytes of one stripe: 16 rows of a matrix with `cols` columns; for int4 in both planes together. */
function denseStripeByteLength(type: DenseType, cols: number): number {
  if (type === 'int8') return Math.ceil(cols / 4) * 4 * TILE
  if (type === 'int4') return Math.ceil(cols / 8) * 8 * TILE
  return cols * TILE * (type === 'f32' ? 4 : 2)
}

/** From one place where a matrix may be cut to the next; undefined where a row lies in two planes. */
export function cutByteLength(type: DenseType, cols: number): number | undefined {
  return type === 'int4' ? undefined : denseStripeByteLength(type, cols)
}

/** Bytes of a packed matrix, (rows, cols). */
export function denseByteLength(type: DenseType, rows: number, cols: number): number {
  return Math.ceil(rows / TILE) * denseStripeByteLength(type, cols)
}

/** The 16-bit or 32-bit elements behind a matrix's bytes. */
export function denseFloats(data: Uint8Array): Float32Array {
  return new Float32Array(data.buffer, data.byteOffset, data.byteLength >> 2)
}
export function denseHalves(data: Uint8Array): Uint16Array {
  return new Uint16Array(data.buffer, data.byteOffset, data.byteLength >> 1)
}

/**
 * Packs rows [firstRow, firstRow + rows) of a matrix, so that it can be built piece by piece. With the
 * last row of the matrix, the padding rows of its stripe are written too.
 *
 * @param values (rows, matrix.cols) row-major
 */
export function packDenseRows(
  matrix: PackedDense,
  values: Float32Array,
  rows: number,
  firstRow: number,
): void {
  const { type, cols, data, scales } = matrix
  const endRow = firstRow + rows
  const paddedEnd = endRow === matrix.rows ? padToTile(endRow) : endRow
  for (let row = firstRow; row < paddedEnd; row++) {
    const from = (row - firstRow) * cols
    const source = row < endRow ? values.subarray(from, from + cols) : new Float32Array(cols)
    if (hasRowScales(type)) {
      const scale = packInt8Row(matrix, row, source)
      if (scales !== undefined) scales[row] = scale
      continue
    }
    const first = (row >> 4) * cols * TILE + (row & 15)
    if (type === 'f32') {
      const floats = denseFloats(data)
      for (let c = 0; c < cols; c++) floats[first + c * TILE] = source[c]
    } else {
      const halves = denseHalves(data)
      for (let c = 0; c < cols; c++) halves[first + c * TILE] = float32ToFloat16(source[c])
    }
  }
}

/** @returns the row's scale */
function packInt8Row(matrix: PackedDense, row: number, values: Float32Array): number {
  let max = 0
  for (const value of values) max = Math.max(max, Math.abs(value))
  const factor = f(127 / max)
  // A row of zeros, or so near to them that the factor overflows, counts as zeros with scale 0.
  const scale = max < Infinity ? (factor === Infinity ? 0 : f(max / 127)) : Infinity
  const hasNumbers = scale > 0 && scale < Infinity
  const paddedCols = denseStripeByteLength(matrix.type, values.length) / TILE
  for (let c = 0; c < paddedCols; c++) {
    const w = hasNumbers && c < values.length ? roundHalfEven(f(values[c] * factor)) : 0
    storeInt8(matrix, row, c, Math.max(-127, Math.min(127, w)) + INT8_BIAS)
  }
  return scale
}

/** Where an int8 or int4 matrix has element (row, c): a byte of its data, or one of each plane. */
function int8Index(type: DenseType, cols: number, row: number, c: number): number {
  const group = type === 'int8' ? c >> 2 : c >> 3
  const groups = Math.ceil(cols / (type === 'int8' ? 4 : 8))
  return (((row >> 4) * groups + group) * TILE + (row & 15)) * 4 + (c & 3)
}

/** Bytes of one of the two planes of an int4 matrix; its data may be longer than both. */
function planeByteLength({ rows, cols }: PackedDense): number {
  return denseByteLength('int4', rows, cols) / 2
}

function storeInt8(matrix: PackedDense, row: number, c: number, stored: number): void {
  const { type, cols, data } = matrix
  const at = int8Index(type, cols, row, c)
  if (type === 'int8') {
    data[at] = stored
    return
  }
  const low = at + planeByteLength(matrix)
  const shift = c & 4
  const keep = 0xf0 >> shift
  data[at] = (data[at] & keep) | ((stored >> 4) << shift)
  data[low] = (data[low] & keep) | ((stored & 15) << shift)
}

/** w of element (row, c) of an int8 or int4 matrix, -127 to 127. */
export function int8At(matrix: PackedDense, row: number, c: number): number {
  const { type, cols, data } = matrix
  const at = int8Index(type, cols, row, c)
  if (type === 'int8') return data[at] - INT8_BIAS
  const low = (data[at + planeByteLength(matrix)] >> (c & 4)) & 15
  return highNibbleAt(matrix, row, c) * 16 + low - INT8_BIAS
}

/** h = (w + 128) >> 4 of element (row, c) of an int4 matrix, 0 to 15. */
export function highNibbleAt({ cols, data }: PackedDense, row: number, c: number): number {
  return (data[int8Index('int4', cols, row, c)] >> (c & 4)) & 15
}

/**
 * Packs a whole matrix.
 *
 * @param values (rows, cols) row-major
 * @throws ShapeError if `values` has another length
 */
export function packDense(
  type: DenseType,
  values: Float32Array,
  rows: number,
  cols: number,
): PackedDense {
  if (values.length !== rows * cols) {
    throw new ShapeError(
      `Expected ${rows} x ${cols} = ${rows * cols} values, got ${values.length}.`,
    )
  }
  const data = new Uint8Array(denseByteLength(type, rows, cols))
  const scales = hasRowScales(type) ? new Float32Array(padToTile(rows)) : undefined
  const matrix = { type, rows, cols, data, scales }
  packDenseRows(matrix, values, rows, 0)
  return matrix
}

/** Decodes one row into `out`, (cols). */
export function unpackDenseRow(out: Float32Array, matrix: PackedDense, row: number): void {
  const { type, cols, data, scales } = matrix
  const lane = row & 15
  if (hasRowScales(type)) {
    const scale = scales === undefined ? 0 : scales[row]
    for (let c = 0; c < cols; c++) out[c] = int8At(matrix, row, c) * scale
    return
  }
  const first = (row >> 4) * cols * TILE + lane
  if (type === 'f32') {
    const floats = denseFloats(data)
    for (let c = 0; c < cols; c++) out[c] = floats[first + c * TILE]
  } else {
    const halves = denseHalves(data)
    const values = float16Table()
    for (let c = 0; c < cols; c++) out[c] = values[halves[first + c * TILE]]
  }
}

/** The values of a packed matrix, (rows, cols) row-major. */
export function unpackDense(matrix: PackedDense): Float32Array {
  const { rows, cols } = matrix
  const values = new Float32Array(rows * cols)
  for (let row = 0; row < rows; row++) {
    unpackDenseRow(values.subarray(row * cols, (row + 1) * cols), matrix, row)
  }
  return values
}
