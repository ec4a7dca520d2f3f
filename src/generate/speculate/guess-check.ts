/**
 * Whether a guessed token may stay, such that the text keeps the distribution p of its model.
 *
 * A guess x that was drawn from a distribution q is kept with probability min(1, p(x) / q(x)); else
 * the token is drawn from what p has more than q, max(0, p - q), made to sum to 1. Both together give
 * each token exactly with its probability p (Leviathan et al. 2023, theorem in appendix A.1).
 */
import type { Random } from '../sample/random.ts'

/** Tokens in play, in the order of their ids, and a weight for each; there is at least one. */
export interface Distribution {
  readonly ids: Int32Array
  /** Integers whose sum stays below 2^53, see token-weights.ts. */
  readonly weights: Float64Array
}

/** A token that is expected to come next. */
export interface Guess {
  readonly id: number
  /** What the guess was drawn from; undefined if no chance was in it. */
  readonly from?: Distribution
}

/** The token at the fraction `u` of the sum of all weights, in the order of ids. */
export function pickByWeight({ ids, weights }: Distribution, u: number): number {
  // u <= 1 - 2^-53, so the product is below the sum, and the walk ends inside the list.
  let left = Math.floor(u * sumOf(weights))
  for (let i = 0; i < ids.length; i++) {
    left -= weights[i]
    if (left < 0) return ids[i]
  }
  throw new Error(`The draw ${u} fell outside the weights of ${ids.length} tokens.`)
}

/**
 * Draws from `wanted`, given a guess that was drawn from `from`.
 *
 * @returns the guess if it is kept, and then only
 */
export function checkGuess(
  guess: number,
  from: Distribution,
  wanted: Distribution,
  random: Random,
): number {
  const p = 1 / sumOf(wanted.weights)
  const q = 1 / sumOf(from.weights)
  const kept = random.nextFloat() * q * weightOf(from, guess) < p * weightOf(wanted, guess)
  return kept ? guess : drawExcess(wanted, p, from, q, guess, random.nextFloat())
}

/** A token by how much its share p * weight exceeds that of `from`. */
function drawExcess(
  wanted: Distribution,
  p: number,
  from: Distribution,
  q: number,
  guess: number,
  u: number,
): number {
  const excess = new Float64Array(wanted.ids.length)
  let total = 0
  let j = 0
  for (let i = 0; i < excess.length; i++) {
    const id = wanted.ids[i]
    while (j < from.ids.length && from.ids[j] < id) j++
    const theirs = j < from.ids.length && from.ids[j] === id ? from.weights[j] * q : 0
    excess[i] = id === guess ? 0 : Math.max(0, wanted.weights[i] * p - theirs)
    total += excess[i]
  }
  let left = u * total
  // Rounding may leave a rest after the last token, or no excess at all where the two are equal.
  let drawn = guess
  for (let i = 0; i < excess.length && left >= 0; i++) {
    if (excess[i] === 0) continue
    drawn = wanted.ids[i]
    left -= excess[i]
  }
  return drawn
}

/** The weight of a token, 0 if it is not in play. */
function weightOf({ ids, weights }: Distribution, id: number): number {
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (ids[middle] < id) low = middle + 1
    else high = middle
  }
  return ids[low] === id ? weights[low] : 0
}

function sumOf(weights: Float64Array): number {
  let sum = 0
  for (let i = 0; i < weights.length; i++) sum += weights[i]
  return sum
}
