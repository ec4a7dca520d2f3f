/**
 * How likely a model holds a token, as it is before penalties, temperature and filters: what tells about
 * the model, and compares between settings.
 */
import type { TokenLogprobs, TokenProbability } from '../options.ts'

/**
 * @param logits of one position, (vocabSize); finite, or -Infinity for what cannot come
 * @param id the token that was taken
 * @param count how many of the likeliest tokens to name
 * @param textOf the text of a token
 */
export function logprobsOf(
  logits: Float32Array,
  id: number,
  count: number,
  textOf: (id: number) => string,
): TokenLogprobs {
  const best = likeliest(logits, Math.max(1, count))
  const max = logits[best[0]]
  let sum = 0
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - max)
  const normaliser = max + Math.log(sum)
  const probabilityOf = (token: number): TokenProbability => ({
    id: token,
    token: textOf(token),
    logprob: logits[token] - normaliser,
  })
  return { ...probabilityOf(id), top: best.slice(0, count).map(probabilityOf) }
}

/** Ids of the `count` highest finite logits, the highest first, of equals the lower id. */
function likeliest(logits: Float32Array, count: number): number[] {
  const best: number[] = []
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]
    if (best.length === count && logit <= logits[best[count - 1]]) continue
    if (logit === Number.NEGATIVE_INFINITY) continue
    let at = best.length
    while (at > 0 && logits[best[at - 1]] < logit) at--
    best.splice(at, 0, id)
    if (best.length > count) best.pop()
  }
  return best
}
