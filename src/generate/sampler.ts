/**
 * Draws the next token from its logits. The steps, in this order:
 *
 *   1. penalties: repetition, then frequency and presence (penalties.ts)
 *   2. temperature 0: the highest logit, the first of equals, and no more steps
 *   3. temperature: gaps to the highest logit are divided by it
 *   4. top-k   5. top-p over what top-k kept   6. min-p   7. a draw among what is left
 *
 * Tokens are ranked by logit, the lower id first among equals. Each filter keeps the front of that
 * ranking, so it is enough to find where the front ends: nothing sorts the vocabulary. Every loop is
 * bounded by the vocabulary's size.
 */
import { BackendError } from '../errors.ts'
import { TokenPenalties } from './penalties.ts'
import { Random } from './random.ts'
import { BUCKETS, bucketOf, MAX_GAP, weightOf } from './token-weights.ts'
import type { SamplingSettings } from './validate-options.ts'

export interface Sampler {
  /** Tells of the prompt, for the repetition penalty. */
  addPrompt(ids: ArrayLike<number>): void
  /**
   * Draws a token and counts it as part of the answer.
   *
   * @param logits of one position, (vocabSize); not changed
   * @throws BackendError if a logit is NaN or none is finite
   */
  sample(logits: Float32Array): number
}

/** Memory for one draw. Samplers that are never inside `sample` at the same time can share it. */
export class SamplerWorkspace {
  /** Logits after penalties, (vocabSize). */
  logits = new Float32Array(0)
  /** Tokens still in play, in the order of their ids. */
  ids = new Int32Array(0)
  /** The weight of each, see token-weights.ts. */
  weights = new Float64Array(0)
  /** Sum of weights per bucket of gaps. */
  readonly mass = new Float64Array(BUCKETS)

  reserve(vocabSize: number): void {
    if (this.ids.length >= vocabSize) return
    this.logits = new Float32Array(vocabSize)
    this.ids = new Int32Array(vocabSize)
    this.weights = new Float64Array(vocabSize)
  }
}

/** A sampler for one sequence. `settings` and `seed` must be in their ranges. */
export function createSampler(
  settings: SamplingSettings,
  seed: number,
  workspace: SamplerWorkspace = new SamplerWorkspace(),
): Sampler {
  const penalties = new TokenPenalties(settings)
  const random = new Random(seed)

  function pick(logits: Float32Array): number {
    let scores = logits
    if (penalties.active) {
      workspace.reserve(logits.length)
      scores = workspace.logits.subarray(0, logits.length)
      scores.set(logits)
      penalties.apply(scores)
    }
    const best = highest(scores)
    if (settings.temperature === 0 || settings.topK === 1) return best
    workspace.reserve(logits.length)
    return draw(scores, scores[best], settings, random.nextFloat(), workspace)
  }

  return {
    addPrompt: (ids) => penalties.addPrompt(ids),
    sample(logits) {
      const id = pick(logits)
      penalties.addAnswer(id)
      return id
    },
  }
}

/** The id of the highest logit, the first of equals. */
function highest(logits: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY
  let best = -1
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]
    if (logit > max) {
      max = logit
      best = id
    } else if (!(logit <= max)) {
      throw new BackendError(
        `Expected logits to be numbers, got ${logit} for token ${id}. ` +
          'The model file may be damaged, or a kernel failed.',
      )
    }
  }
  if (best < 0 || max === Number.POSITIVE_INFINITY) {
    throw new BackendError(
      `Expected a finite highest logit, got ${max} among ${logits.length}. ` +
        'The model file may be damaged, or a kernel failed.',
    )
  }
  return best
}

/** Steps 3 to 7. `u` is uniform over [0, 1); `max` is the highest of `logits`. */
function draw(
  logits: Float32Array,
  max: number,
  settings: SamplingSettings,
  u: number,
  workspace: SamplerWorkspace,
): number {
  // Finite even for the smallest temperatures, so that a gap of 0 stays 0.
  const inverse = Math.min(1 / settings.temperature, Number.MAX_VALUE)
  const gaps: Gaps = { logits, max, inverse }
  // min-p is a limit to the gap. It comes after top-p, whose sum includes what min-p drops.
  const widest = settings.minP > 0 ? Math.min(-Math.log(settings.minP), MAX_GAP) : MAX_GAP
  if (settings.topP === 1) {
    return pickByWeight(workspace, gather(gaps, settings.topK, widest, workspace), u)
  }
  const count = gather(gaps, settings.topK, MAX_GAP, workspace)
  const last = topPLast(gaps, settings.topP, count, workspace)
  return pickByWeight(workspace, keepFront(gaps, last, widest, count, workspace), u)
}

/** What the gap of each token is computed from: (max - logit) * inverse. */
interface Gaps {
  readonly logits: Float32Array
  readonly max: number
  /** 1 / temperature. */
  readonly inverse: number
}

/**
 * Lists the tokens of top-k whose gap is at most `widest`, with their weights; returns how many.
 * This is the one loop that computes something for every token of the vocabulary.
 */
function gather(gaps: Gaps, k: number, widest: number, workspace: SamplerWorkspace): number {
  const { logits, max, inverse } = gaps
  const { ids, weights, mass } = workspace
  const top = topKFloor(logits, k)
  const floor = top.floor
  let ties = top.ties
  let count = 0
  mass.fill(0)
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]
    if (logit <= floor && (logit < floor || ties-- <= 0)) continue
    const gap = (max - logit) * inverse
    if (gap > widest) continue
    const bucket = bucketOf(gap)
    const weight = weightOf(gap, bucket)
    ids[count] = id
    weights[count] = weight
    mass[bucket] += weight
    count++
  }
  return count
}

/**
 * The lowest logit that top-k keeps, and how many tokens with just this logit it keeps. A heap of
 * the k highest, its lowest on top: most logits are turned away by one comparison.
 */
function topKFloor(logits: Float32Array, k: number): { floor: number; ties: number } {
  if (k === 0 || k >= logits.length) {
    return { floor: Number.NEGATIVE_INFINITY, ties: logits.length }
  }
  const heap = logits.slice(0, k)
  for (let i = (k >> 1) - 1; i >= 0; i--) siftDown(heap, i)
  let floor = heap[0]
  for (let id = k; id < logits.length; id++) {
    if (logits[id] > floor) {
      heap[0] = logits[id]
      siftDown(heap, 0)
      floor = heap[0]
    }
  }
  let ties = 0
  for (const logit of heap) if (logit === floor) ties++
  return { floor, ties }
}

/** Moves the entry at `i` down until neither of its children is lower. */
function siftDown(heap: Float32Array, i: number): void {
  const moved = heap[i]
  let at = i
  for (let child = 2 * at + 1; child < heap.length; child = 2 * at + 1) {
    if (child + 1 < heap.length && heap[child + 1] < heap[child]) child++
    if (heap[child] >= moved) break
    heap[at] = heap[child]
    at = child
  }
  heap[at] = moved
}

/**
 * The last token of the smallest front of the ranking whose weights reach the fraction `p` of their
 * sum. Buckets of gaps say where it lies; only the tokens of that bucket are sorted.
 */
function topPLast(gaps: Gaps, p: number, count: number, workspace: SamplerWorkspace): number {
  const { logits, max, inverse } = gaps
  const { ids, weights, mass } = workspace
  let total = 0
  for (const sum of mass) total += sum
  const target = p * total
  let reached = 0
  let bucket = 0
  while (bucket < BUCKETS - 1 && reached + mass[bucket] < target) reached += mass[bucket++]

  const border: number[] = []
  for (let i = 0; i < count; i++) {
    if (bucketOf((max - logits[ids[i]]) * inverse) === bucket) border.push(i)
  }
  border.sort((a, b) => logits[ids[b]] - logits[ids[a]] || a - b)
  let last = ids[0]
  for (const i of border) {
    last = ids[i]
    reached += weights[i]
    if (reached >= target) break
  }
  return last
}

/** Keeps the tokens ranked no later than `last` whose gap is at most `widest`; returns how many. */
function keepFront(
  gaps: Gaps,
  last: number,
  widest: number,
  count: number,
  workspace: SamplerWorkspace,
): number {
  const { logits, max, inverse } = gaps
  const { ids, weights } = workspace
  const lowest = logits[last]
  let kept = 0
  for (let i = 0; i < count; i++) {
    const id = ids[i]
    const logit = logits[id]
    if (logit < lowest || (logit === lowest && id > last)) continue
    if ((max - logit) * inverse > widest) continue
    ids[kept] = id
    weights[kept] = weights[i]
    kept++
  }
  return kept
}

/** The token at the fraction `u` of the sum of all weights, in the order of ids. */
function pickByWeight({ ids, weights }: SamplerWorkspace, count: number, u: number): number {
  let total = 0
  for (let i = 0; i < count; i++) total += weights[i]
  // u <= 1 - 2^-53, so the product is below `total`, and the walk ends inside the list.
  let left = Math.floor(u * total)
  for (let i = 0; i < count; i++) {
    left -= weights[i]
    if (left < 0) return ids[i]
  }
  throw new Error(`The draw ${u} fell outside the weights of ${count} tokens.`)
}
