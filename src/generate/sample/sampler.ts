/**
 * Draws the next token from its logits. The steps, in this order:
 *
 *   1. penalties: repetition, then frequency and presence
 *   2. temperature 0: the highest logit, the first of equals, and no more steps
 *   3. temperature, top-k, top-p and min-p (token-filters.ts)   4. a draw among what is left
 *
 * A guess for the token never changes how likely any token is. One that had no chance in it is right
 * if an ordinary draw gives the same; one that was itself drawn goes through guess-check.ts.
 */
import { notComputed } from '../../checks.ts'
import {
  checkGuess,
  type Distribution,
  type Guess,
  pickByWeight,
} from '../speculate/guess-check.ts'
import type { SamplingSettings } from '../validate-options.ts'
import { Random, seedAt } from './random.ts'
import { filterTokens, SamplerWorkspace } from './token-filters.ts'

/** How far from a sequence's seed the one of its forks lies: beyond the seeds of any batch. */
const FORK_DISTANCE = 2 ** 40

/** A sampler for one sequence. `settings` and `seed` must be in their ranges. */
export function createSampler(
  settings: SamplingSettings,
  seed: number,
  workspace: SamplerWorkspace = new SamplerWorkspace(),
): Sampler {
  return new Sampler({
    settings,
    workspace,
    penalties: new TokenPenalties(settings),
    random: new Random(seed),
    forkRandom: new Random(seedAt(seed, FORK_DISTANCE)),
  })
}

interface SamplerState {
  readonly settings: SamplingSettings
  readonly workspace: SamplerWorkspace
  readonly penalties: TokenPenalties
  readonly random: Random
  /** All forks draw from one stream, so that each goes on where the one before stopped. */
  readonly forkRandom: Random
}

export class Sampler {
  readonly #state: SamplerState

  constructor(state: SamplerState) {
    this.#state = state
  }

  /** Tells of the prompt, for the repetition penalty. */
  addPrompt(ids: ArrayLike<number>): void {
    this.#state.penalties.addPrompt(ids)
  }

  /**
   * Draws a token and counts it as part of the answer.
   *
   * @param logits of one position, (vocabSize); not changed
   * @param guess what was guessed for this position; if it is drawn, the guess was right
   * @throws BackendError if a logit is NaN or none is finite
   */
  sample(logits: Float32Array, guess?: Guess): number {
    const scores = this.#penalise(logits)
    const best = highest(scores)
    return this.#count(this.#isGreedy ? best : this.#draw(this.#filter(scores, best), guess))
  }

  /** As {@link sample}, with what the token was drawn from; for whoever makes guesses. */
  guess(logits: Float32Array): Guess {
    const scores = this.#penalise(logits)
    const best = highest(scores)
    if (this.#isGreedy) return { id: this.#count(best) }
    const { ids, weights } = this.#filter(scores, best)
    const from = { ids: ids.slice(), weights: weights.slice() } // the workspace is used again
    return { id: this.#count(this.#draw(from, undefined)), from }
  }

  /**
   * A sampler that goes on from here with the same settings and random numbers of its own. What it
   * draws does not count in this one.
   */
  fork(): Sampler {
    const { penalties, forkRandom } = this.#state
    return new Sampler({ ...this.#state, penalties: penalties.copy(), random: forkRandom })
  }

  get #isGreedy(): boolean {
    const { temperature, topK } = this.#state.settings
    return temperature === 0 || topK === 1
  }

  /** The logits with penalties; the given array itself if there are none. */
  #penalise(logits: Float32Array): Float32Array {
    const { penalties, workspace } = this.#state
    if (!penalties.active) return logits
    workspace.reserve(logits.length)
    const scores = workspace.logits.subarray(0, logits.length)
    scores.set(logits)
    penalties.apply(scores)
    return scores
  }

  /** What is left to draw from, as views of the workspace. */
  #filter(scores: Float32Array, best: number): Distribution {
    const { settings, workspace } = this.#state
    workspace.reserve(scores.length)
    const count = filterTokens(scores, scores[best], settings, workspace)
    return {
      ids: workspace.ids.subarray(0, count),
      weights: workspace.weights.subarray(0, count),
    }
  }

  #draw(wanted: Distribution, guess: Guess | undefined): number {
    const { random } = this.#state
    return guess?.from === undefined
      ? pickByWeight(wanted, random.nextFloat())
      : checkGuess(guess.id, guess.from, wanted, random)
  }

  #count(id: number): number {
    this.#state.penalties.addAnswer(id)
    return id
  }
}

/**
 * Penalties on tokens that have occurred: the repetition penalty (Keskar et al. 2019, section 4.1) on
 * those of prompt and answer, then the frequency and presence penalties on those of the answer.
 */
class TokenPenalties {
  readonly #settings: SamplingSettings
  /** How often each token occurs in the answer; 0 for those that only the prompt has. */
  readonly #counts = new Map<number, number>()

  constructor(settings: SamplingSettings) {
    this.#settings = settings
  }

  /** False if no penalty changes any logit. */
  get active(): boolean {
    const { repetitionPenalty, frequencyPenalty, presencePenalty } = this.#settings
    return repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0
  }

  /** Penalties that go on from here by themselves. */
  copy(): TokenPenalties {
    const copy = new TokenPenalties(this.#settings)
    for (const [id, count] of this.#counts) copy.#counts.set(id, count)
    return copy
  }

  addPrompt(ids: ArrayLike<number>): void {
    if (!this.active) return
    for (let i = 0; i < ids.length; i++) {
      if (!this.#counts.has(ids[i])) this.#counts.set(ids[i], 0)
    }
  }

  addAnswer(id: number): void {
    if (this.active) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1)
  }

  /** Changes `logits` (vocabSize) in place. */
  apply(logits: Float32Array): void {
    const { repetitionPenalty, frequencyPenalty, presencePenalty } = this.#settings
    for (const [id, count] of this.#counts) {
      if (id >= logits.length) continue
      let logit = logits[id]
      logit = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
      if (count > 0) logit -= count * frequencyPenalty + presencePenalty
      logits[id] = logit
    }
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
      throw notComputed('logits to be numbers', `${logit} for token ${id}`)
    }
  }
  if (best < 0 || max === Number.POSITIVE_INFINITY) {
    throw notComputed('a finite highest logit', `${max} among ${logits.length}`)
  }
  return best
}
