/**
 * A mixture's router: which experts each row goes to, how much each counts, and where rows lie once they are
 * sorted by expert.
 *
 * The `top` experts with the largest logits, the earlier of equal ones, from the largest on. Their weights are the
 * softmax of these logits alone: that of all, taken for the chosen ones and divided by their sum, as Mixtral and
 * Qwen's mixtures have it. A row and one of its experts is an assignment. They are sorted by expert, within one by
 * row: `sources` has the row of each place, `chosen` its expert, and `places` where each assignment went.
 *
 * Numbers of experts are in their range and none is twice in a row, whatever the logits are.
 */
import { exp32 } from '../float32.ts'

/** Largest numbers of experts, and of those that a row goes to. */
export const MAX_EXPERTS = 1024
export const MAX_TOP = 32

const f = Math.fround

export interface Routes {
  /** (rows, top): of each row's experts, from the likeliest on; they add up to 1. */
  readonly weights: Float32Array
  /** (rows, top) each. */
  readonly places: Int32Array
  readonly sources: Int32Array
  readonly chosen: Int32Array
}

/**
 * @param logits (rows, experts)
 * @param top of them for each row
 */
export function route(
  { weights, places, sources, chosen }: Routes,
  logits: Float32Array,
  { rows, experts, top }: { rows: number; experts: number; top: number },
): void {
  const ids = new Int32Array(rows * top)
  const counts = new Int32Array(experts + 1)
  for (let row = 0; row < rows; row++) {
    const own = ids.subarray(row * top, (row + 1) * top)
    const x = logits.subarray(row * experts, (row + 1) * experts)
    chooseLargest(own, x)
    weigh(weights.subarray(row * top, (row + 1) * top), own, x)
    for (const id of own) counts[id + 1]++
  }
  for (let expert = 0; expert < experts; expert++) counts[expert + 1] += counts[expert]
  for (const [i, id] of ids.entries()) {
    const place = counts[id]++
    places[i] = place
    sources[place] = Math.floor(i / top)
    chosen[place] = id
  }
}

/** The numbers of the largest, the earlier of equal ones, from the largest on. */
function chooseLargest(ids: Int32Array, x: Float32Array): void {
  for (let rank = 0; rank < ids.length; rank++) {
    const before = ids.subarray(0, rank)
    let best = -1
    for (let expert = 0; expert < x.length; expert++) {
      if (before.includes(expert)) continue
      if (best < 0 || x[expert] > x[best]) best = expert
    }
    ids[rank] = best
  }
}

/** Exponentials below the largest logit, added up in their order. */
function weigh(out: Float32Array, ids: Int32Array, x: Float32Array): void {
  let sum = 0
  for (const [rank, id] of ids.entries()) {
    out[rank] = exp32(f(x[id] - x[ids[0]]))
    sum = f(sum + out[rank])
  }
  for (let rank = 0; rank < ids.length; rank++) out[rank] = f(out[rank] / sum)
}
