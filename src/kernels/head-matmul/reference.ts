/**
 * out (tokens, rows) = W x for the head of a language model, W int4 (see dense-matmul/layout.ts): all
 * rows nearly, and the rows with the largest results exactly as dense-matmul has them with int8. Reads
 * half the bytes that int8 does, for what generation looks at.
 *
 * First every row is computed from the high nibbles h and from the high bytes of the token's 16-bit
 * activations, with the middle of the range that h leaves open in place of w:
 *
 *   y = (32 sum h * high - 241 sum high) * (scale * (unit * 128))      (2 w = 32 h - 241 + 2 e)
 *
 * The error has no bias; its deviation is near scale * 4.6 * |x|. Then the stripes of 16 rows with the
 * largest y are computed again from both planes, all 16 rows of each: `exactStripes` of them, those of
 * lower index first where maxima are equal. The n largest y lie in n stripes at most.
 *
 * A result's order is that of its bits, so that what is chosen is defined for -0 and NaN too.
 */
import { TILE } from '../../ternary/index.ts'
import { highNibbleAt, type PackedDense } from '../dense-matmul/layout.ts'
import { int8Product, type SplitToken, splitToken } from '../dense-matmul/reference.ts'

const f = Math.fround

/** Columns for which 32 h * high, at most 32 * 15 * 128 each, cannot overflow int32. */
export const MAX_HEAD_COLS = 32768

/**
 * @param out (tokens, weights.rows)
 * @param x (tokens, weights.cols)
 * @param weights int4
 * @param exactStripes at least 1; more than there are means all
 */
export function headMatmul(
  out: Float32Array,
  x: Float32Array,
  weights: PackedDense,
  tokens: number,
  exactStripes: number,
): void {
  const { rows, cols } = weights
  for (let t = 0; t < tokens; t++) {
    const token = splitToken(x.subarray(t * cols, (t + 1) * cols))
    const y = out.subarray(t * rows, (t + 1) * rows)
    for (let row = 0; row < rows; row++) y[row] = nearProduct(weights, row, token)
    for (const stripe of largestStripes(y, exactStripes)) {
      const end = Math.min(rows, (stripe + 1) * TILE)
      for (let row = stripe * TILE; row < end; row++) y[row] = int8Product(weights, row, token)
    }
  }
}

function nearProduct(weights: PackedDense, row: number, { high, unit }: SplitToken): number {
  let sum = 0
  let highSum = 0
  for (let c = 0; c < high.length; c++) {
    sum += highNibbleAt(weights, row, c) * high[c]
    highSum += high[c]
  }
  const scale = weights.scales === undefined ? 0 : weights.scales[row]
  return f(f(32 * sum - 241 * highSum) * f(scale * f(unit * 128)))
}

/** Stripes with the largest maxima of y, (rows). */
function largestStripes(y: Float32Array, count: number): number[] {
  const words = new Int32Array(y.buffer, y.byteOffset, y.length)
  const maxima = Array.from({ length: Math.ceil(y.length / TILE) }, (_, stripe) =>
    words.subarray(stripe * TILE, (stripe + 1) * TILE).reduce(
      (max, bits) => {
        return Math.max(max, orderOf(bits))
      },
      -(2 ** 31),
    ),
  )
  const byMaximum = (a: number, b: number) => maxima[b] - maxima[a] || a - b
  return [...maxima.keys()].sort(byMaximum).slice(0, count)
}

/** An int32 that orders floats: their bits, those of negative ones turned around. */
function orderOf(bits: number): number {
  return bits ^ ((bits >> 31) & 0x7fffffff)
}
