/**
 * out (tokens, rows) = W x with dense weights, added to out if asked.
 *
 * f32 and f16: one float32 sum a row, columns in order.
 *
 * int8: the token is quantised to 16 bits, v = round(x * (32512 / m)) with m = max(1e-5, max|x|), and
 * split into bytes, v = 256 hi + lo with lo in [-128, 127]; 32512 = 127 * 256 keeps hi within int8
 * too. Both integer sums are exact: |w * hi| <= 127 * 127 and |w * lo| <= 127 * 128, so int32 holds
 * {@link MAX_INT8_COLS} columns. Sixteen bits make the activation's error negligible beside the
 * weight's, at twice the cost of one int8 product.
 */
import { padToTile, roundHalfEven, SCALE_FLOOR, TILE } from '../../ternary/index.ts'
import { float16Table } from '../float16.ts'
import {
  denseFloats,
  denseHalves,
  denseStripeByteLength,
  INT8_BIAS,
  type PackedDense,
} from './layout.ts'

const f = Math.fround

/** Columns for which the int8 sums cannot overflow int32: 2^17 * 127 * 128 < 2^31. */
export const MAX_INT8_COLS = 131072

/** The largest 16-bit activation: 127 * 256. */
const MAX_ACTIVATION = 32512

/**
 * @param out (tokens, weights.rows)
 * @param x (tokens, weights.cols)
 * @param accumulate add to `out` instead of replacing it
 */
export function denseMatmul(
  out: Float32Array,
  x: Float32Array,
  weights: PackedDense,
  tokens: number,
  accumulate: boolean,
): void {
  const { rows, cols } = weights
  const sums = new Float32Array(padToTile(rows))
  for (let token = 0; token < tokens; token++) {
    const input = x.subarray(token * cols, (token + 1) * cols)
    if (weights.type === 'int8') multiplyInt8(sums, input, weights)
    else multiplyFloats(sums, input, weights)
    const first = token * rows
    for (let row = 0; row < rows; row++) {
      out[first + row] = accumulate ? out[first + row] + sums[row] : sums[row]
    }
  }
}

function multiplyFloats(sums: Float32Array, x: Float32Array, weights: PackedDense): void {
  const { rows, cols, type, data } = weights
  const table = float16Table()
  const floats = denseFloats(data)
  const halves = denseHalves(data)
  const acc = new Float32Array(TILE)
  for (let row = 0; row < rows; row += TILE) {
    acc.fill(0)
    for (let c = 0; c < cols; c++) {
      const at = row * cols + c * TILE
      const value = x[c]
      if (type === 'f32') {
        for (let r = 0; r < TILE; r++) acc[r] = acc[r] + f(floats[at + r] * value)
      } else {
        for (let r = 0; r < TILE; r++) acc[r] = acc[r] + f(table[halves[at + r]] * value)
      }
    }
    sums.set(acc, row)
  }
}

function multiplyInt8(sums: Float32Array, x: Float32Array, weights: PackedDense): void {
  const { rows, cols, data, scales } = weights
  let max = f(SCALE_FLOOR)
  for (let c = 0; c < cols; c++) max = Math.max(max, Math.abs(x[c]))
  const factor = f(MAX_ACTIVATION / max)
  const high = new Int32Array(cols)
  const low = new Int32Array(cols)
  for (let c = 0; c < cols; c++) {
    const rounded = roundHalfEven(f(x[c] * factor))
    const v = Math.max(-MAX_ACTIVATION, Math.min(MAX_ACTIVATION, rounded))
    high[c] = (v + 128) >> 8
    low[c] = v - high[c] * 256
  }
  const unit = f(max / MAX_ACTIVATION)
  const stripe = denseStripeByteLength('int8', cols)
  for (let row = 0; row < rows; row++) {
    const first = (row >> 4) * stripe + (row & 15) * 4
    let highSum = 0
    let lowSum = 0
    for (let c = 0; c < cols; c++) {
      const w = data[first + (c >> 2) * 64 + (c & 3)] - INT8_BIAS
      highSum = (highSum + w * high[c]) | 0
      lowSum = (lowSum + w * low[c]) | 0
    }
    const scale = scales === undefined ? 0 : scales[row]
    sums[row] = f(f(f(highSum) * 256) + f(lowSum)) * f(scale * unit)
  }
}
