/**
 * What the scheduler runs: one sequence of tokens that has to pass the model, and something that is wanted
 * of some of its rows. A job knows nothing of its neighbours, and they change nothing of what it is given.
 */
import type { TokenScores } from '../../model/engine.ts'
import type { DrawnTokens, TokenDraw } from '../../model/token-draw.ts'
import type { GuessCost } from '../speculate/speculation.ts'

/** What a pass gave for the rows that a job wanted something of, in their order. */
export interface JobResults {
  /** Of several steps the token of each: all of them are right. */
  readonly tokens: DrawnTokens
  readonly steps: number
  /** One entry a target; valid until {@link Job.accept} returns, as are vectors. */
  readonly scores: TokenScores
  /** (rows, dim) */
  readonly vectors: Float32Array
}

export interface Job {
  /** What is wanted of rows. */
  readonly kind: 'draws' | 'scores' | 'vectors'
  /** The sequence by position: what is computed, then what comes next. */
  readonly tokens: readonly number[]
  /**
   * How many of `tokens`, from the first, never change, nor are wanted anything of: what is computed of them
   * may be shared with other sequences. Unset: all, but for the last.
   */
  readonly fixed?: number | undefined
  /** Whose first tokens it shares: it begins when that one has computed them. */
  readonly leader?: Leader | undefined
  /** How many of `tokens`, from the first, are computed. The scheduler moves it on. */
  fed: number
  /** Positions that it may reach: what memory is kept for. */
  readonly positions: number
  readonly finished: boolean
  /** Whether `tokens` are others than those that were computed, so that it has to begin anew. */
  readonly mustBeginAgain?: boolean
  /** False while it waits for something else than a pass: a reader, a guess, more tokens. */
  readonly isReady: boolean
  /** Told, whenever it gets memory, how many of its tokens are computed already. */
  begin(cached: number): void
  /**
   * Asks for guesses, before a pass that could check them.
   *
   * @param room rows that guesses may take
   */
  guess?(room: number, cost: GuessCost): void
  /** Tokens that may follow `tokens`, checked by the pass that feeds the last of these. */
  readonly guesses?: readonly number[]
  /** Whether something is wanted of the row of the token at this position. */
  wants(position: number): boolean
  /** How the token behind this position, of a token or of a guess, is drawn, of a job of draws. */
  drawAt?(position: number): TokenDraw
  /** Tokens that may be drawn one after another before it looks at them, of a job of draws; unset: 1. */
  readonly steps?: number
  /** Likeliest tokens to name beside each that is drawn; unset: no probabilities. */
  readonly likeliest?: number | undefined
  /** The tokens that the row at this position scores, of a job of scores. */
  targetsAt?(position: number): readonly number[]
  /**
   * Takes what a pass gave, after `fed` was moved on.
   *
   * @throws what ends the call that the job belongs to
   */
  accept(results: JobResults): void
  /**
   * Tells its reader of what it took: while the next pass runs, if there is one at once. Unset: `accept` does.
   *
   * @throws what ends the call that the job belongs to
   */
  tell?(): void
}

/** A job that others go on from. */
export interface Leader extends Job {
  /** Tokens that they have in common but for the last one, if these are computed. */
  readonly computedBeginning: number | undefined
}

/** Tokens that the next passes have to feed, guesses not counted. */
export function pendingOf(job: Job): number {
  return job.tokens.length - job.fed
}
