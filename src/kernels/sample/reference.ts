/**
 * Draws the next token of each row from its logits, as its settings say:
 *
 *   gap = (largest logit - logit) * inverse temperature
 *   1. top-k: the k first of the ranking, by logit, of equals the lower token first
 *   2. top-p: the shortest front of those whose weights reach the fraction p of the weights of all of them
 *   3. gaps above `widest` (min-p as a gap) fall out
 *   4. each token left has an exponentially distributed number E of its own (random.ts); the one with the
 *      smallest E e^gap is drawn, of equals the lowest
 *
 * The smallest of exponential variables with rates w is each one's with probability w / sum of w, so that 4.
 * draws by the softmax and has no sum to share. It also takes the same token wherever the same one is far
 * ahead: a model that guesses for another one draws with the other one's numbers, and is mostly right
 * (Daliri, Musco and Suresh 2025, drafter-invariant speculative decoding).
 *
 * Weights of 2. are e^-gap in units of 2^-30, cut to whole numbers. Their sums are exact, so that every way to
 * find the end of a front, by sorting, counting or halving, finds the same one.
 *
 * With top-k 1 the largest logit is taken, the first of equals. Without a largest finite one, and where a
 * logit is NaN, the token is -1.
 */
import { exp32 } from '../float32.ts'
import { STEP, STEP_WORDS } from '../step.ts'
import { exponential, positionKey } from './random.ts'

const f = Math.fround

/** Words of a row's settings. */
export const SETTING_WORDS = 8

/**
 * Where each of them is: floats are bits of float32. topK: 0 for all, 1 is greedy. topP: in units of
 * TOP_P_ONE, from which on all are kept. widest: the largest gap that may be drawn, at most WIDEST_GAP.
 */
export const SETTING = {
  inverse: 0,
  widest: 1,
  topK: 2,
  topP: 3,
  seedLow: 4,
  seedHigh: 5,
  sequence: 6,
} as const

export const TOP_P_ONE: number = 2 ** 24

/** Beyond this e^gap is no float32: a token 10^37 times less likely than the best is never drawn. */
export const WIDEST_GAP = 87

/** Weight of the best token. With at most 2^21 tokens sums stay below 2^53. */
export const WEIGHT_ONE: number = 2 ** 30
export const MAX_SAMPLED_COLS: number = 2 ** 21

/** A front of the ranking: all above `logit`, and of those with it the tokens up to `token`. */
interface Front {
  readonly logit: number
  readonly token: number
}

const WHOLE: Front = { logit: Number.NEGATIVE_INFINITY, token: Number.POSITIVE_INFINITY }

interface Row {
  readonly logits: Float32Array
  readonly largest: number
  readonly inverse: number
}

function gapOf({ logits, largest, inverse }: Row, token: number): number {
  return f(f(largest - logits[token]) * inverse)
}

/** The first token with the largest logit, or -1 if there is none that is finite or one is NaN. */
function bestOf(logits: Float32Array): number {
  let best = 0
  for (let token = 0; token < logits.length; token++) {
    if (Number.isNaN(logits[token])) return -1
    if (logits[token] > logits[best]) best = token
  }
  return Number.isFinite(logits[best]) ? best : -1
}

/** The fraction topP / TOP_P_ONE of a sum of weights, rounded up; no step is above 2^53. */
function shareOf(total: number, topP: number): number {
  const high = Math.floor(total / TOP_P_ONE)
  const low = total - high * TOP_P_ONE
  return high * topP + Math.ceil((low * topP) / TOP_P_ONE)
}

function frontOf(row: Row, topK: number, topP: number): Front {
  const { logits } = row
  const isCut = topK > 0 && topK < logits.length
  if (!isCut && topP >= TOP_P_ONE) return WHOLE
  const ranking = Array.from(logits, (_, token) => token)
  ranking.sort((a, b) => logits[b] - logits[a] || a - b)
  if (isCut) ranking.length = topK
  if (topP < TOP_P_ONE) {
    const weights = ranking.map((token) => Math.trunc(exp32(-gapOf(row, token)) * WEIGHT_ONE))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    const target = shareOf(total, Math.max(1, topP))
    let count = 0
    for (let reached = 0; reached < target; count++) reached += weights[count]
    ranking.length = count
  }
  const token = ranking[ranking.length - 1]
  return { logit: logits[token], token }
}

/**
 * @param tokens (rows)
 * @param logits (rows, cols)
 * @param settings (rows, SETTING_WORDS)
 * @param step (rows of the pass, STEP_WORDS)
 * @param index (rows): the row of the pass that each row of logits is of
 */
export function sample(
  tokens: Int32Array,
  logits: Float32Array,
  settings: Int32Array,
  step: Int32Array,
  index: Int32Array,
  rows: number,
  cols: number,
): void {
  for (let row = 0; row < rows; row++) {
    const own = settings.slice(row * SETTING_WORDS, (row + 1) * SETTING_WORDS)
    const position = step[index[row] * STEP_WORDS + STEP.position]
    tokens[row] = draw(logits.subarray(row * cols, (row + 1) * cols), own, position)
  }
}

function draw(logits: Float32Array, settings: Int32Array, position: number): number {
  const best = bestOf(logits)
  const topK = settings[SETTING.topK]
  if (best < 0 || topK === 1) return best
  const [inverse, widest] = new Float32Array(settings.buffer)
  const row: Row = { logits, largest: logits[best], inverse }
  const front = frontOf(row, topK, settings[SETTING.topP])
  const words = new Uint32Array(settings.buffer)
  const seed = [words[SETTING.seedLow], words[SETTING.seedHigh]] as const
  const key = positionKey(seed, words[SETTING.sequence], position)
  let drawn = best
  let smallest = Number.POSITIVE_INFINITY
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token]
    if (logit < front.logit || (logit === front.logit && token > front.token)) continue
    const gap = gapOf(row, token)
    if (!(gap <= widest)) continue
    const race = f(exponential(token, key) * exp32(gap))
    if (race < smallest) {
      smallest = race
      drawn = token
    }
  }
  return drawn
}
