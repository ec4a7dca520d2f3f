/**
 * The decoder as the generation loop sees it: token rows in, logits out. It knows nothing of text.
 */
import type { ModelConfig } from './config/config.ts'

/** Keys and values of up to `slots` sequences, `capacity` positions each. */
export interface KvCache {
  readonly slots: number
  readonly capacity: number
  readonly byteLength: number
  dispose(): void
}

/**
 * One pass over tokens of one or several sequences. Row i is `tokens[i]` of the sequence in
 * `slots[i]` at `positions[i]`; the rows of a sequence come in the order of their positions, and all
 * earlier positions must be in the cache already. Positions may be rewritten: a cache is cut by
 * simply going on from an earlier position.
 */
export interface RowBatch {
  readonly tokens: ArrayLike<number>
  readonly slots: ArrayLike<number>
  readonly positions: ArrayLike<number>
  /** Rows whose logits are wanted, in this order; may be empty. */
  readonly logitRows: ArrayLike<number>
}

/** Tokens to be scored after a pass: `tokens[i]` by the logits of entry `rows[i]` of `logitRows`. */
export interface ScoreTargets {
  readonly rows: ArrayLike<number>
  readonly tokens: ArrayLike<number>
}

/** One entry a target. */
export interface TokenScores {
  /** Natural logarithms of the probabilities. */
  readonly logProbs: Float64Array
  /** 1 where the token is what greedy decoding would take, else 0. */
  readonly isBest: Uint8Array
}

/** What a pass is asked for, by rows of its batch; no row is named twice. */
export interface PassWants {
  /** Rows whose logits are wanted. */
  readonly logits: readonly number[]
  /** Rows whose logits score tokens: `tokens[i]` by those of entry `targets[i]` of `rows`. */
  readonly scores: {
    readonly rows: readonly number[]
    readonly targets: readonly number[]
    readonly tokens: readonly number[]
  }
  /** Rows whose vectors after the final norm are wanted. */
  readonly vectors: readonly number[]
}

/** What a pass gives, each in the order in which it was asked for; valid until the next pass. */
export interface PassResults {
  /** (logits, vocabSize) */
  readonly logits: Float32Array
  readonly scores: TokenScores
  /** (vectors, dim) */
  readonly vectors: Float32Array
}

export interface DecodeEngine {
  readonly config: ModelConfig
  /** Most rows in one pass; longer prompts are fed in pieces. */
  readonly maxRows: number
  createCache(options: { slots: number; capacity: number }): KvCache
  /**
   * @returns logits (logitRows.length, vocabSize), valid until the next call
   * @throws ContextOverflowError when a position is outside the cache
   */
  forward(cache: KvCache, batch: RowBatch): Promise<Float32Array>
  /**
   * The same pass without the head: the vectors that it would turn into logits, after the final norm.
   *
   * @returns (logitRows.length, dim), valid until the next call
   * @throws ContextOverflowError when a position is outside the cache
   */
  vectors(cache: KvCache, batch: RowBatch): Promise<Float32Array>
  /**
   * The same pass, of whose logits only what they say of given tokens is handed out. Several targets
   * may share a row.
   *
   * @throws ContextOverflowError when a position is outside the cache
   */
  score(cache: KvCache, batch: RowBatch, targets: ScoreTargets): Promise<TokenScores>
  /**
   * One pass for whoever wants something of its rows: logits, scores and vectors at once.
   *
   * @throws ContextOverflowError when a position is outside the cache
   */
  step(cache: KvCache, batch: Omit<RowBatch, 'logitRows'>, wants: PassWants): Promise<PassResults>
}
