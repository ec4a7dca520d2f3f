/**
 * Which tokens a draw is among, and how likely each is. The steps, in this order:
 *
 *   1. temperature: gaps to the highest logit are divided by it
 *   2. top-k   3. top-p over what top-k kept   4. min-p
 *
 * Tokens are ranked by logit, the lower id first among equals. Each filter keeps the front of that
 * ranking, so it is enough to find where the front ends: nothing sorts the vocabulary. Every loop is
 * bounded by the vocabulary's size.
 */

import type { SamplingSettings } from '../validate-options.ts'
import { BUCKETS, bucketOf, MAX_GAP, weightOf } from './token-weights.ts'

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

/**
 * Lists the tokens that the filters keep in `workspace.ids`, by id, and their weights beside them.
 *
 * @param logits (vocabSize), after penalties; `max` is the highest of them, and finite
 * @param workspace with room for the vocabulary
 * @returns how many tokens are kept, at least 1
 */
export function filterTokens(
  logits: Float32Array,
  max: number,
  settings: SamplingSettings,
  workspace: SamplerWorkspace,
): number {
  // Finite even for the smallest temperatures, so that a gap of 0 stays 0.
  const inverse = Math.min(1 / settings.temperature, Number.MAX_VALUE)
  const gaps: Gaps = { logits, max, inverse }
  // min-p is a limit to the gap. It comes after top-p, whose sum includes what min-p drops.
  const widest = settings.minP > 0 ? Math.min(-Math.log(settings.minP), MAX_GAP) : MAX_GAP
  if (settings.topP === 1) return gather(gaps, settings.topK, widest, workspace)
  const count = gather(gaps, settings.topK, MAX_GAP, workspace)
  const last = topPLast(gaps, settings.topP, count, workspace)
  return keepFront(gaps, last, widest, count, workspace)
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
