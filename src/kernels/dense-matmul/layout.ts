/**
 * The packed layout of dense matrices, by type. Rows go in stripes of 16, padded with zero rows, so
 * that a row's sum stays in its lane and memory is read strictly forward, as with ternary tiles.
 *
 *   f32   element (r, c) is float ((r >> 4) * cols + c) * 16 + (r & 15)
 *   f16   the same index, in halves
 *   int8  columns pad to 4; element (r, c) is byte
 *         (((r >> 4) * cols4 / 4 + (c >> 2)) * 16 + (r & 15)) * 4 + (c & 3), cols4 the padded columns,
 *         holding w + 128; padding holds 128
 *
 * int8 has a float32 scale a row, max|row| / 127, and w = round(value * (127 / max|row|)), half to
 * even; value = w * scale. Scales pad to whole stripes with 0.
 */
import { ShapeError } from '../../errors.ts'
import { padToTile, roundHalfEven, TILE } from '../../ternary/index.ts'
import type { DenseType } from '../commands.ts'
import { float16Table, float32ToFloat16 } from '../float16.ts'

const f = Math.fround

/** What int8 weights are stored with, to be unsigned bytes. */
export const INT8_BIAS = 128

/** A dense matrix in memory. */
export interface PackedDense {
  readonly type: DenseType
  readonly rows: number
  readonly cols: number
  /** {@link denseByteLength} bytes in the layout above, at a multiple of 4 in their buffer. */
  readonly data: Uint8Array
  /** Only for int8: padToTile(rows) values. */
  readonly scales: Float32Array | undefined
}

/** Bytes of one stripe: 16 rows of a matrix with `cols` columns. */
export function denseStripeByteLength(type: DenseType, cols: number): number {
  if (type === 'int8') return Math.ceil(cols / 4) * 4 * TILE
  return cols * TILE * (type === 'f32' ? 4 : 2)
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
 * Packs up to 16 rows into one stripe, for loading a matrix piece by piece.
 *
 * @param out the stripe's bytes, at a multiple of 4 in their buffer
 * @param scalesOut the stripe's 16 scales; only for int8
 * @param values (rows, cols) row-major, at most 16 rows
 * @throws ShapeError if an argument has the wrong length
 */
export function packDenseStripe(
  out: Uint8Array,
  scalesOut: Float32Array | undefined,
  type: DenseType,
  values: Float32Array,
  rows: number,
  cols: number,
): void {
  const expected = denseStripeByteLength(type, cols)
  if (out.byteLength !== expected) {
    throw new ShapeError(
      `Expected ${expected} bytes for a stripe of ${type}, got ${out.byteLength}.`,
    )
  }
  if (rows > TILE || values.length < rows * cols) {
    throw new ShapeError(
      `Expected at most ${TILE} rows of ${cols} values, got ${rows} rows and ${values.length} values.`,
    )
  }
  if (type === 'int8') {
    if (scalesOut?.length !== TILE) {
      throw new ShapeError(
        `Expected ${TILE} scales for a stripe of int8, got ${scalesOut?.length ?? 0}.`,
      )
    }
    packInt8(out, scalesOut, values, rows, cols)
    return
  }
  out.fill(0)
  if (type === 'f32') {
    const floats = denseFloats(out)
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) floats[c * TILE + r] = values[r * cols + c]
    }
  } else {
    const halves = denseHalves(out)
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) halves[c * TILE + r] = float32ToFloat16(values[r * cols + c])
    }
  }
}

function packInt8(
  out: Uint8Array,
  scales: Float32Array,
  values: Float32Array,
  rows: number,
  cols: number,
): void {
  out.fill(INT8_BIAS)
  scales.fill(0)
  for (let r = 0; r < rows; r++) {
    let max = 0
    for (let c = 0; c < cols; c++) max = Math.max(max, Math.abs(values[r * cols + c]))
    const factor = f(127 / max)
    // A row of zeros, or so near to them that the factor overflows: its scale stays 0.
    if (factor === Infinity) continue
    scales[r] = max / 127
    for (let c = 0; c < cols; c++) {
      const w = roundHalfEven(f(values[r * cols + c] * factor))
      const at = ((c >> 2) * TILE + r) * 4 + (c & 3)
      out[at] = Math.max(-127, Math.min(127, w)) + INT8_BIAS
    }
  }
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
  const scales = type === 'int8' ? new Float32Array(padToTile(rows)) : undefined
  const stripe = denseStripeByteLength(type, cols)
  for (let row = 0; row < rows; row += TILE) {
    const count = Math.min(TILE, rows - row)
    const at = (row / TILE) * stripe
    packDenseStripe(
      data.subarray(at, at + stripe),
      scales?.subarray(row, row + TILE),
      type,
      values.subarray(row * cols, (row + count) * cols),
      count,
      cols,
    )
  }
  return { type, rows, cols, data, scales }
}

/** Decodes one row into `out`, (cols). */
export function unpackDenseRow(out: Float32Array, matrix: PackedDense, row: number): void {
  const { type, cols, data, scales } = matrix
  const lane = row & 15
  if (type === 'int8') {
    const scale = scales === undefined ? 0 : scales[row]
    const stripe = (row >> 4) * denseStripeByteLength(type, cols)
    for (let c = 0; c < cols; c++) {
      const stored = data[stripe + ((c >> 2) * TILE + lane) * 4 + (c & 3)]
      out[c] = (stored - INT8_BIAS) * scale
    }
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
