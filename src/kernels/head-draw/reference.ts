/**
 * Draws the next token of each row from what is before the head: dense-matmul, adjust-logits and sample, one
 * behind the other.
 *
 * The token is all that comes out, so that a kernel may leave out logits that cannot matter to it. One that does
 * has a look at all of them in int8 first. With weights w = s q + e and inputs x = u p + d, where q and p are
 * int8,
 *
 *   |w x - s u (q p)| <= |e| |u p| + |w| |d|                    (Cauchy and Schwarz)
 *
 * and the float32 sum of n columns differs from w x by at most n 2^-24 |w| |x|, and a little more (Higham 2002,
 * section 4.2). So each logit has a least and a most, which biases and penalties move without turning
 * an order around. Then
 *
 *   - of the k largest is no token whose most is below the k-th largest of all leasts: whatever else top-p, min-p and
 *     the race do, they do among the others;
 *   - a race without top-k and top-p is not won by a token whose time is at least longer than another one's at most;
 *   - where too many are left, or an input is no number, or a weight, all are computed.
 *
 * What is left is computed as dense-matmul computes it, to the bit, and drawn from.
 */
import { type Adjustments, adjustLogits } from '../adjust-logits/reference.ts'
import type { PackedDense } from '../dense-matmul/layout.ts'
import { denseMatmul } from '../dense-matmul/reference.ts'
import { sample } from '../sample/reference.ts'

export interface HeadDraw extends Adjustments {
  /** (rows, weights.cols) */
  readonly x: Float32Array
  readonly weights: PackedDense
  /** (rows, SETTING_WORDS) */
  readonly settings: Int32Array
}

/** @param tokens (rows) */
export function headDraw(tokens: Int32Array, draw: HeadDraw, rows: number): void {
  const { x, weights, settings, step, index } = draw
  const cols = weights.rows
  const logits = new Float32Array(rows * cols)
  denseMatmul(logits, x, weights, rows, { accumulate: false })
  adjustLogits(logits, logits.slice(), rows, cols, draw)
  sample(tokens, logits, settings, step, index, rows, cols)
}
