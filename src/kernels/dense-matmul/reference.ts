/**
 * out (tokens, rows) = W x with dense weights, added to out if asked.
 *
 * f32 and f16: one float32 sum a row, columns in order. For f16 activations are rounded to 13 bits
 * first ({@link shortFloat}): two more than the weights have, and products are exact, so that a
 * processor may fuse them with their addition. For comparisons with float32 they can be kept whole.
 *
 * int8: the token is quantised to 16 bits, v = round(x * (32512 / m)) with m = max(1e-5, max|x|), and
 * split into bytes, v = 256 hi + lo with lo in [-128, 127]; 32512 = 127 * 256 keeps hi within int8
 * too. Both integer sums, H of w * hi and L of w * lo, are exact for {@link MAX_INT8_COLS} columns. The
 * result depends on 256 H + L alone ({@link joinSums}), so that kernels may as well multiply v at once.
 * Sixteen bits make the activation's error negligible beside the weight's, at twice the cost of one
 * int8 product at most.
 */
import { padToTile, roundHalfEven, SCALE_FLOOR, TILE } from '../../ternary/index.ts'
import { float16Table } from '../float16.ts'
import { shortFloat } from '../float32.ts'
import { denseFloats, denseHalves, int8At, type PackedDense } from './layout.ts'

const f = Math.fround

/** Columns for which no kernel's sums overflow int32, of stored w + 128 by bytes: 2^16 * 255 * 128 < 2^31. */
export const MAX_INT8_COLS = 65536

/** The largest 16-bit activation: 127 * 256. */
const MAX_ACTIVATION = 32512

export interface DenseMatmulOptions {
  /** Add to `out` instead of replacing it. */
  readonly accumulate: boolean
  /** With f16 weights: do not round x. Unset: false. */
  readonly wholeInput?: boolean | undefined
}

/**
 * @param out (tokens, weights.rows)
 * @param x (tokens, weights.cols)
 */
export function denseMatmul(
  out: Float32Array,
  x: Float32Array,
  weights: PackedDense,
  tokens: number,
  { accumulate, wholeInput = false }: DenseMatmulOptions,
): void {
  const { rows, cols } = weights
  const kept = weights.type === 'f16' && !wholeInput ? shortFloat : f
  const sums = new Float32Array(padToTile(rows))
  for (let token = 0; token < tokens; token++) {
    const input = x.subarray(token * cols, (token + 1) * cols)
    if (weights.type === 'int8') multiplyInt8(sums, input, weights)
    else multiplyFloats(sums, input.map(kept), weights)
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

/** A token as 16-bit integers: x = (256 high + low) * unit, nearly. */
export interface SplitToken {
  /** -127 to 127. */
  readonly high: Int32Array
  /** -128 to 127. */
  readonly low: Int32Array
  readonly unit: number
}

/** @param x (cols) */
export function splitToken(x: Float32Array): SplitToken {
  const cols = x.length
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
  return { high, low, unit: f(max / MAX_ACTIVATION) }
}

/**
 * 256 high + low as float32: the multiple of 256 rounded first, then the rest of 0 to 255 added. The
 * carry cannot overflow: |high| and |low| are at most 2^16 * 127 * 128 < 2^30 by {@link MAX_INT8_COLS}.
 */
function joinSums(high: number, low: number): number {
  return f(f(f(high + (low >> 8)) * 256) + (low & 255))
}

/** One element of the product: a row of an int8 or int4 matrix by a token. */
export function int8Product(weights: PackedDense, row: number, token: SplitToken): number {
  const { cols, scales } = weights
  const { high, low, unit } = token
  let highSum = 0
  let lowSum = 0
  for (let c = 0; c < cols; c++) {
    const w = int8At(weights, row, c)
    highSum = (highSum + w * high[c]) | 0
    lowSum = (lowSum + w * low[c]) | 0
  }
  const scale = scales === undefined ? 0 : scales[row]
  return f(joinSums(highSum, lowSum) * f(scale * unit))
}

function multiplyInt8(sums: Float32Array, x: Float32Array, weights: PackedDense): void {
  const token = splitToken(x)
  for (let row = 0; row < weights.rows; row++) sums[row] = int8Product(weights, row, token)
}
