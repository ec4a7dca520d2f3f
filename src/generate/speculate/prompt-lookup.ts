/**
 * Guesses by looking up where the end of the text has occurred before: what followed there may follow
 * again (prompt lookup; Yang et al. 2023, "Inference with Reference"). It costs microseconds a token.
 *
 * How far to trust it is learned on the way. For each token that comes, the lookup's own guess is
 * compared with it whether or not that guess was fed to the model, so that text without repetitions
 * soon costs nothing, and a passage that repeats is noticed without a trial.
 */
import { bestLength, type GuessRequest, type LookupGuesser } from './speculation.ts'

/** Shorter matches are not looked for: a single token is followed by the same one too seldom. */
const MIN_MATCH = 2
/** Longer matches do not count as longer. */
const MAX_MATCH = 32
/** Occurrences of the last two tokens that are compared, the latest first. */
const MAX_CANDIDATES = 32
/** Weight of a new observation in the chance of a class of matches. */
const LEARNING_RATE = 1 / 8
/**
 * The chance at the start that a match of 2, 3, 4-5, 6-9, 10-17 and more tokens goes on as before.
 * Short matches are not trusted until they have shown that they can be.
 */
const FIRST_CHANCES = [0.1, 0.25, 0.4, 0.55, 0.7, 0.85]

/** A token id is below 2^21, so that a pair of them is an exact number. */
const PAIR = 2 ** 21

interface Match {
  /** Index of the token after the earlier occurrence. */
  readonly next: number
  /** Tokens that agree, MIN_MATCH to MAX_MATCH. */
  readonly length: number
}

export class PromptLookup implements LookupGuesser {
  readonly isDrawn = false
  /** The text as far as it is indexed. */
  #tokens: readonly number[] = []
  #indexed = 0
  /** The index after the latest occurrence of a pair of tokens. */
  readonly #latest = new Map<number, number>()
  /** For each index: the one after the occurrence before of the pair in front of it; 0 for none. */
  readonly #earlier: number[] = []
  readonly #chances = [...FIRST_CHANCES]
  readonly #maxTokens: number

  /** @param maxTokens most tokens to guess at a time */
  constructor(maxTokens: number) {
    this.#maxTokens = maxTokens
  }

  async prepare(tokens: readonly number[]): Promise<void> {
    this.#tokens = tokens
    while (this.#indexed < tokens.length) this.#index()
  }

  guess({ tokens, limit, cost }: GuessRequest): readonly number[] {
    this.#tokens = tokens
    while (this.#indexed < tokens.length) {
      this.#learn()
      this.#index()
    }
    const match = this.#find()
    if (match === undefined) return []
    const most = Math.min(limit, this.#maxTokens)
    const length = bestLength(most, cost, (i) => this.#chances[classOf(match.length + i)])
    return this.#continuation(match.next, length)
  }

  dispose(): void {}

  /** Compares the token that comes with the one that the lookup expects. */
  #learn(): void {
    const match = this.#find()
    if (match === undefined) return
    const hit = this.#tokens[match.next] === this.#tokens[this.#indexed] ? 1 : 0
    const matchClass = classOf(match.length)
    this.#chances[matchClass] += (hit - this.#chances[matchClass]) * LEARNING_RATE
  }

  /** Adds the next token to the index. */
  #index(): void {
    const next = this.#indexed + 1
    if (next >= MIN_MATCH) {
      const pair = this.#pairBefore(next)
      this.#earlier[next] = this.#latest.get(pair) ?? 0
      this.#latest.set(pair, next)
    } else this.#earlier[next] = 0
    this.#indexed = next
  }

  /** The longest match of the end of the indexed text, the latest of equals. */
  #find(): Match | undefined {
    const end = this.#indexed
    let best: Match | undefined
    if (end < MIN_MATCH) return best
    let next = this.#earlier[end]
    for (let i = 0; i < MAX_CANDIDATES && next > 0; i++) {
      const length = this.#agreement(next, end)
      if (length > (best?.length ?? 0)) best = { next, length }
      if (length === MAX_MATCH) break
      next = this.#earlier[next]
    }
    return best
  }

  /** How many tokens before two indices agree; the last MIN_MATCH are known to. */
  #agreement(next: number, end: number): number {
    const limit = Math.min(next, MAX_MATCH)
    let length = MIN_MATCH
    while (length < limit && this.#tokens[next - 1 - length] === this.#tokens[end - 1 - length]) {
      length++
    }
    return length
  }

  /** What followed there, and after the end of the text what it would be if it repeats itself. */
  #continuation(next: number, length: number): number[] {
    const period = this.#indexed - next
    const ids: number[] = []
    for (let i = 0; i < length; i++) {
      ids.push(i < period ? this.#tokens[next + i] : ids[i - period])
    }
    return ids
  }

  #pairBefore(index: number): number {
    return this.#tokens[index - 2] * PAIR + this.#tokens[index - 1]
  }
}

/** Which of the chances a match of this length has. */
function classOf(length: number): number {
  if (length <= 3) return length - 2
  if (length <= 5) return 2
  if (length <= 9) return 3
  return length <= 17 ? 4 : 5
}
