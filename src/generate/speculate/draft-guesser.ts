/**
 * Guesses with a smaller model of the same vocabulary, which draws with the random numbers of the other one.
 * The draft follows the text in a job of its own: what both have in common stays computed, and a wrong guess is
 * written over.
 */
import type { Runtime } from '../schedule/runtime.ts'
import { FollowJob, type WantedToken } from './follow-job.ts'
import {
  bestLength,
  type DrawingGuesser,
  type GuessCost,
  type GuessRequest,
} from './speculation.ts'

/** The chance of a guess to be right, before any has been checked. */
const FIRST_CHANCE = 0.7
/** Weight of a new observation in that chance. */
const LEARNING_RATE = 1 / 8

interface PlacedGuesses {
  /** Index of the first one in the text. */
  readonly at: number
  readonly ids: readonly number[]
}

const NO_GUESSES: PlacedGuesses = { at: 0, ids: [] }

/** Calls between two trials of one guess, while guesses do not pay. */
const TRIAL_PAUSE = 32

/** Guesses for one sequence; {@link Runtime.dispose} of the draft ends it. */
export class DraftGuesser implements DrawingGuesser {
  readonly isDrawn = true
  readonly #runtime: Runtime
  readonly #maxTokens: number
  readonly #capacity: number
  /** Time of one pass of the draft, as a part of one of the target: both read all their weights. */
  readonly #passCost: number
  readonly #ending = new AbortController()
  /** Made for the first pass. */
  #job: FollowJob | undefined
  /** The last guesses, and where in the text they stand. */
  #last = NO_GUESSES
  #chance = FIRST_CHANCE
  #pause = 0

  /**
   * @param runtime of the draft model, whose vocabulary is that of `target`
   * @param positions of the sequence that it will guess for
   * @param maxTokens most tokens to guess at a time
   */
  constructor(runtime: Runtime, target: Runtime, positions: number, maxTokens: number) {
    this.#runtime = runtime
    this.#maxTokens = maxTokens
    this.#capacity = Math.min(positions, runtime.contextLength)
    this.#passCost = weightBytes(runtime) / Math.max(1, weightBytes(target))
  }

  async prepare(tokens: readonly number[], signal: AbortSignal): Promise<void> {
    // The last token waits for the first guess, which wants its logits.
    const known = tokens.slice(0, -1)
    if (known.length < this.#capacity) await this.#feed(known, known.length, signal)
  }

  async guess({ tokens, limit, cost, draw, signal }: GuessRequest): Promise<readonly number[]> {
    this.#learn(tokens)
    // The last guess is not fed, so it may stand after the end of the cache.
    const room = Math.min(limit, this.#maxTokens, this.#capacity - tokens.length + 1)
    const length = this.#chooseLength(room, {
      start: cost.start,
      each: cost.each + this.#passCost,
    })
    const text = [...tokens]
    while (text.length < tokens.length + length) {
      const wanted = { draw, take: (id: number) => void text.push(id) }
      if (!(await this.#feed(text, tokens.length, signal, wanted))) return []
    }
    const ids = text.slice(tokens.length)
    this.#last = { at: tokens.length, ids }
    return ids
  }

  dispose(): void {
    this.#ending.abort()
  }

  #learn(tokens: readonly number[]): void {
    const { at, ids } = this.#last
    this.#last = NO_GUESSES
    for (const [i, id] of ids.entries()) {
      if (at + i >= tokens.length) return // the text was cut, or is another one
      const isRight = tokens[at + i] === id
      this.#chance += ((isRight ? 1 : 0) - this.#chance) * LEARNING_RATE
      if (!isRight) return
    }
  }

  #chooseLength(limit: number, cost: GuessCost): number {
    const length = bestLength(limit, cost, () => this.#chance)
    if (length > 0) this.#pause = TRIAL_PAUSE
    if (length > 0 || this.#pause-- > 0) return length
    this.#pause = TRIAL_PAUSE
    return Math.min(1, Math.max(0, limit))
  }

  /**
   * Feeds what the cache does not hold yet of `text`, and draws what is wanted behind its last token.
   *
   * @param fixed how much of it is no guess
   * @returns false if the signal or the end of the draft model came before
   */
  async #feed(
    text: readonly number[],
    fixed: number,
    signal: AbortSignal,
    wanted?: WantedToken,
  ): Promise<boolean> {
    this.#job ??= this.#start()
    return this.#job.feed(text, fixed, signal, wanted)
  }

  #start(): FollowJob {
    const { scheduler } = this.#runtime
    const job = new FollowJob(this.#capacity, () => scheduler.wake())
    // Disposing of the draft model ends it, too, and the text goes on without guesses.
    const running = this.#runtime.run(this.#ending.signal, (signal) =>
      scheduler.run([job], { signal }),
    )
    void running.then(
      () => job.end(),
      (error: unknown) => job.end({ error }),
    )
    return job
  }
}

/** What a decode step reads. */
function weightBytes({ facts }: Runtime): number {
  return facts.memory.ternaryBytes + facts.memory.denseBytes
}
