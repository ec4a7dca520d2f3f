/**
 * What a language model says of given tokens, from its logits: for each pair (row of logits, token)
 * the numbers that make its log-probability, so that logits need not leave the backend.
 *
 *   out[0] = logit of the token - largest logit of the row
 *   out[1] = sum over the vocabulary of e^(logit - largest logit)
 *   out[2] = 1 if the token is the first of those with the largest logit, else 0
 *
 * The log-probability is out[0] - ln(out[1]). The logarithm is left to the caller: once a token it
 * costs nothing, and it would be one more function to give the same bits everywhere.
 *
 * The largest logit is taken in sixteen lanes, element i in lane i & 15, the earlier of two equal ones,
 * and then from lane 0 on. The sum has sixteen lanes of float64, added up as a tree, and is rounded to
 * float32 once. Logits must not be NaN or plus infinity.
 */
import { exp32, LANES, sumLanes } from '../float32.ts'

/** Words of a pair: the row of logits and the token. */
export const PAIR_WORDS = 2
/** Results of a pair. */
export const SCORE_FLOATS = 3

const f = Math.fround
const largest = new Float32Array(LANES)
const sums = new Float64Array(LANES)

/** The largest logit of a row. */
export function largestOf(logits: Float32Array): number {
  largest.fill(-Infinity)
  for (let i = 0; i < logits.length; i++) {
    if (logits[i] > largest[i & 15]) largest[i & 15] = logits[i]
  }
  let max = largest[0]
  for (let lane = 1; lane < LANES; lane++) if (largest[lane] > max) max = largest[lane]
  return max
}

/** The sum of e^(logit - max) over a row. */
export function sumOfExponentials(logits: Float32Array, max: number): number {
  sums.fill(0)
  for (let i = 0; i < logits.length; i++) sums[i & 15] += exp32(f(logits[i] - max))
  return f(sumLanes(sums))
}

/**
 * @param out (rows, 3)
 * @param logits (at least one row, cols)
 * @param pairs (rows, 2): row of logits, token
 */
export function tokenScores(
  out: Float32Array,
  logits: Float32Array,
  pairs: Int32Array,
  rows: number,
  cols: number,
): void {
  for (let row = 0; row < rows; row++) {
    const first = pairs[row * PAIR_WORDS] * cols
    const token = pairs[row * PAIR_WORDS + 1]
    const x = logits.subarray(first, first + cols)
    const max = largestOf(x)
    const at = row * SCORE_FLOATS
    out[at] = x[token] - max
    out[at + 1] = sumOfExponentials(x, max)
    out[at + 2] = x.indexOf(max) === token ? 1 : 0
  }
}
