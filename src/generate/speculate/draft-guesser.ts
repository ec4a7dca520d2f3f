/**
 * Guesses with a smaller model of the same vocabulary. The draft has a cache of its own, which follows
 * the text: what both have in common stays, and a wrong guess is written over.
 */
import type { KvCache } from '../../model/engine.ts'
import { passesOf } from '../../model/pass-rows.ts'
import { padToTile } from '../../ternary/index.ts'
import { commonLength } from '../chat/chat-prompt.ts'
import { Runtime } from '../schedule/runtime.ts'
import type { ResolvedSpeculation } from '../validate-options.ts'
import type { Guess } from './guess-check.ts'
import { bestLength, type GuessCost, type Guesser, type GuessRequest } from './speculation.ts'

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
export class DraftGuesser implements Guesser {
  readonly #runtime: Runtime
  readonly #maxTokens: number
  readonly #capacity: number
  /** Time of one pass of the draft, as a part of one of the target: both read all their weights. */
  readonly #passCost: number
  readonly #disown: () => void
  /** Made for the first pass. */
  #cache: KvCache | undefined
  /** The tokens whose keys and values lie at the cache's first positions. */
  #cachedIds: number[] = []
  /** The last guesses, and where in the text they stand. */
  #last = NO_GUESSES
  #chance = FIRST_CHANCE
  #pause = 0
  #disposed = false

  /**
   * @param runtime of the draft model, whose vocabulary is that of `target`
   * @param positions of the sequence that it will guess for
   * @param maxTokens most tokens to guess at a time
   */
  constructor(runtime: Runtime, target: Runtime, positions: number, maxTokens: number) {
    this.#runtime = runtime
    this.#maxTokens = maxTokens
    this.#capacity = Math.min(positions, runtime.engine.config.contextLength)
    this.#passCost = weightBytes(runtime) / Math.max(1, weightBytes(target))
    this.#disown = runtime.own(this)
  }

  async prepare(tokens: readonly number[], signal: AbortSignal): Promise<void> {
    if (tokens.length <= this.#capacity) await this.#feed(tokens, signal)
  }

  async guess({ tokens, limit, cost, sampler, signal }: GuessRequest): Promise<readonly Guess[]> {
    this.#learn(tokens)
    // The last guess is not fed, so it may stand after the end of the cache.
    const room = Math.min(limit, this.#maxTokens, this.#capacity - tokens.length + 1)
    const length = this.#chooseLength(room, {
      start: cost.start,
      each: cost.each + this.#passCost,
    })
    const guesses: Guess[] = []
    const fork = sampler.fork()
    const text = [...tokens]
    while (guesses.length < length) {
      const fed = await this.#feed(text, signal, (logits) => guesses.push(fork.guess(logits)))
      if (!fed) return []
      text.push(guesses[guesses.length - 1].id)
    }
    this.#last = { at: tokens.length, ids: guesses.map((guess) => guess.id) }
    return guesses
  }

  /** What was learned is forgotten: a seed gives the same text whatever was said before. */
  restart({ draft, maxTokens }: ResolvedSpeculation): boolean {
    this.#chance = FIRST_CHANCE
    this.#pause = 0
    this.#last = NO_GUESSES
    if (this.#disposed || draft === undefined) return false
    return Runtime.of(draft) === this.#runtime && maxTokens === this.#maxTokens
  }

  dispose(): void {
    this.#disposed = true
    this.#disown()
    this.#cache?.dispose()
    this.#cache = undefined
    this.#cachedIds = []
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
   * Feeds what the cache does not hold yet of `text`, and hands over the logits after its last token.
   *
   * @returns false if the signal or the end of the draft model came before
   */
  async #feed(
    text: readonly number[],
    signal: AbortSignal,
    read?: (logits: Float32Array) => void,
  ): Promise<boolean> {
    const { engine, lock } = this.#runtime
    const known = commonLength(this.#cachedIds, text)
    const from = read === undefined ? known : Math.min(known, text.length - 1)
    this.#cachedIds.length = from
    for (const rows of passesOf(engine.maxRows, 0, text, from, read !== undefined)) {
      let isFed = false
      const work = async () => {
        if (this.#disposed || this.#runtime.isDisposed) return
        this.#cache ??= engine.createCache({ slots: 1, capacity: padToTile(this.#capacity) })
        const logits = await engine.forward(this.#cache, rows)
        if (rows.logitRows.length > 0) read?.(logits)
        this.#cachedIds.push(...rows.tokens)
        isFed = true
      }
      // Disposing of the draft model waits for the pass that runs, and then frees the cache.
      await this.#runtime.run(signal, (ended) => lock.run(ended, work))
      if (!isFed) return false
    }
    return true
  }
}

/** What a decode step reads. */
function weightBytes({ facts }: Runtime): number {
  return facts.memory.ternaryBytes + facts.memory.denseBytes
}
