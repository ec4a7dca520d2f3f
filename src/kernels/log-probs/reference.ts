/**
 * What a model held of a token that was drawn, and of the likeliest in its place, from its logits as they
 * were before anything changed them. For each row:
 *
 *   out[0] = logit of the token - largest logit of the row; 0 for a token that is none
 *   out[1] = sum over the vocabulary of e^(logit - largest logit), as token-scores has it
 *   out[2 + i] = the i-th largest logit - largest logit, of equals the lower token first
 *   ids[i] = its token
 *
 * Logarithms of probabilities are out[0] - ln(out[1]) and out[2 + i] - ln(out[1]). Where fewer than `count`
 * logits are above -infinity the rest are -infinity, of token 0.
 */
import { tokenScores } from '../token-scores/reference.ts'

/** Results of a row before those of the likeliest tokens. */
export const DRAWN_FLOATS = 2

/** Most tokens that are named. */
export const MAX_LIKELIEST = 64

const f = Math.fround

/**
 * @param out (rows, DRAWN_FLOATS + count)
 * @param ids (rows, count)
 * @param logits (rows, cols)
 * @param tokens (rows)
 */
export function logProbs(
  out: Float32Array,
  ids: Int32Array,
  logits: Float32Array,
  tokens: Int32Array,
  rows: number,
  cols: number,
  count: number,
): void {
  for (let row = 0; row < rows; row++) {
    const x = logits.subarray(row * cols, (row + 1) * cols)
    const own = out.subarray(row * (DRAWN_FLOATS + count), (row + 1) * (DRAWN_FLOATS + count))
    const token = tokens[row]
    const isToken = token >= 0 && token < cols
    const scores = new Float32Array(3)
    tokenScores(scores, x, Int32Array.of(0, isToken ? token : 0), 1, cols)
    own[0] = isToken ? scores[0] : 0
    own[1] = scores[1]
    const best = likeliest(x, count)
    for (let i = 0; i < count; i++) {
      const id = best[i] ?? 0
      own[DRAWN_FLOATS + i] = i < best.length ? f(x[id] - x[best[0]]) : -Infinity
      ids[row * count + i] = id
    }
  }
}

/** Tokens of the `count` largest logits above -infinity, the largest first. */
function likeliest(logits: Float32Array, count: number): number[] {
  const best: number[] = []
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]
    if (best.length === count && logit <= logits[best[count - 1]]) continue
    if (logit === -Infinity) continue
    let at = best.length
    while (at > 0 && logits[best[at - 1]] < logit) at--
    best.splice(at, 0, id)
    if (best.length > count) best.pop()
  }
  return best
}
