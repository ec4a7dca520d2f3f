/**
 * Speculative decoding: something cheap guesses the next tokens, one pass checks all of them, and the
 * longest right beginning stays (Stern et al. 2018; Leviathan et al. 2023). Reading the weights once
 * then gives several tokens. This file says what a guesser is and how much guessing pays;
 * prompt-lookup.ts and draft-guesser.ts are the two guessers.
 */

import type { TokenDraw } from '../../model/token-draw.ts'

/** Time that guesses add to a pass, as parts of the time of a pass without. */
export interface GuessCost {
  /** Once, however many there are. */
  readonly start: number
  /** For each guess. */
  readonly each: number
}

export interface GuessRequest {
  /** Prompt and answer so far. Between calls it only grows, or is another text altogether. */
  readonly tokens: readonly number[]
  /** Most tokens to guess, at least 1. */
  readonly limit: number
  readonly cost: GuessCost
  /** How the sequence draws its tokens: whoever draws alike is right most often. */
  readonly draw: TokenDraw
  readonly signal: AbortSignal
}

/**
 * Guesses for one sequence. They change no token: each is drawn as without, and a guess is right if it is the
 * one that was drawn.
 */
export type Guesser = LookupGuesser | DrawingGuesser

interface AnyGuesser {
  /** Called while the prompt is being computed, so that the first guess comes quickly. */
  prepare(tokens: readonly number[], signal: AbortSignal): Promise<void>
  dispose(): void
}

/** Guesses in no time. */
export interface LookupGuesser extends AnyGuesser {
  readonly isDrawn: false
  /** Tokens that may follow, in their order; none if it does not pay. */
  guess(request: GuessRequest): readonly number[]
}

/** Draws its guesses, which takes passes of its own. */
export interface DrawingGuesser extends AnyGuesser {
  readonly isDrawn: true
  /** Tokens that may follow, in their order; none if it does not pay or the signal aborts. */
  guess(request: GuessRequest): Promise<readonly number[]>
}

/**
 * What a pass of several rows takes beside one of a single row, and what each row adds. Measured on a
 * processor with 58 M parameters, whose weights stay in its cache: 0.45 and 0.4; less with larger
 * models, where guessing too little costs a tenth of the gain at most. Fixed numbers, and not the
 * clock, so that a seed gives the same guesses each time.
 */
const START_COST = 0.3
const ROW_COST = 0.35

/** The cost of guesses for one of `sequences` that share a pass. */
export function guessCost(sequences: number): GuessCost {
  if (sequences === 1) return { start: START_COST, each: ROW_COST }
  // All of them wait for the rows of one: the fuller a pass is already, the dearer a wrong guess.
  const pass = 1 + START_COST + ROW_COST * (sequences - 1)
  return { start: 0, each: (sequences * ROW_COST) / pass }
}

/**
 * How many tokens to guess so that the expected number of tokens per time is highest. With k guesses
 * a pass takes 1 + start + each k and gives 1 token, and one more for each guess that is right.
 *
 * @param chance of guess i (from 0) to be right if all before it are
 */
export function bestLength(limit: number, cost: GuessCost, chance: (i: number) => number): number {
  let best = 0
  let bestRate = 1
  let tokens = 1
  let allRight = 1
  for (let k = 1; k <= limit; k++) {
    allRight *= chance(k - 1)
    // allRight only falls: where it is less than its time is worth, no further guess can help.
    if (allRight <= cost.each * bestRate) break
    tokens += allRight
    const rate = tokens / (1 + cost.start + cost.each * k)
    if (rate > bestRate) {
      best = k
      bestRate = rate
    }
  }
  return best
}
