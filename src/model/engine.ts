/**
 * The decoder as the generation loop sees it: token rows in, logits out. It knows nothing of text.
 */
import type { CacheType } from '../kernels/storage.ts'
import type { ModelConfig } from './config/config.ts'
import type { DrawnTokens, TokenDraw } from './token-draw.ts'

/** A sequence that was opened. */
export interface OpenedSequence {
  /** Its name in passes. */
  readonly slot: number
  /** Tokens, from the first on, whose keys and values are there: passes go on behind them. */
  readonly cached: number
}

/** How an engine's cache is used. Blocks are of 256 positions in all layers. */
export interface CacheStats {
  /** Sequences that are open. */
  readonly sequences: number
  readonly blocks: number
  readonly free: number
  /** Blocks of what was computed, kept for whoever begins in the same way; the rest are free or in use. */
  readonly kept: number
  /** Blocks that several open sequences have. */
  readonly shared: number
  /** Sequences opened so far, those of them that found a beginning, and the tokens of these beginnings. */
  readonly opened: number
  readonly hits: number
  readonly hitTokens: number
  /** Blocks copied, because a shared beginning ended within them. */
  readonly copied: number
  /** Blocks of what was kept, given up because others were wanted. */
  readonly evicted: number
}

/**
 * The cache of an engine, for all its sequences: keys and values lie in blocks of 256 positions, which
 * sequences take as they grow. What one has computed the next one that begins with the same tokens finds.
 * That changes no bit of a result.
 */
export interface SequenceCache {
  /** Positions that one sequence may have: the context's, or fewer where memory for caches is less. */
  readonly capacity: number
  /**
   * Opens a sequence that begins with `tokens` and may reach `reserve` positions. What of the tokens is
   * computed already it shares, but for the last one at least, which is to be computed for what follows it.
   *
   * @returns undefined where there is no room now, because other sequences are open
   * @throws ContextOverflowError if there never is
   */
  open(tokens: ArrayLike<number>, reserve: number): OpenedSequence | undefined
  /**
   * Lets a sequence reach so many positions.
   *
   * @returns false where there is no room now; it stays as it was
   * @throws ContextOverflowError if there never is
   */
  extend(slot: number, positions: number): boolean
  /**
   * Opens a sequence that goes on from the first `positions` of an open one, and may reach `reserve`. Both
   * share what came before.
   *
   * @returns its slot; undefined where there is no room now
   * @throws ContextOverflowError if there never is
   */
  fork(slot: number, positions: number, reserve: number): number | undefined
  /**
   * Ends a sequence. What was computed of `tokens`, which it consists of, can be found by the next one until
   * the memory is wanted for others.
   */
  close(slot: number, tokens: ArrayLike<number>): void
  readonly stats: CacheStats
}

/** What keys and values are of: those of models that differ in it never fit each other. */
export interface CacheContent {
  readonly type: CacheType
  readonly nLayers: number
  readonly nKvHeads: number
  readonly headDim: number
  /** Layers that see only so many positions; unset: all see everything. */
  readonly window?: { readonly positions: number; readonly layers: readonly number[] } | undefined
}

/** What a cache has of some tokens. */
export interface CopiedPositions {
  /** Tokens, from the first on, whose keys and values are there; a multiple of 16. */
  readonly length: number
  readonly bytes: Uint8Array
}

/** Keys and values as bytes, the same on all backends. Not to be used while a pass runs. */
export interface CacheCopies {
  readonly content: CacheContent
  /** Bytes of the first positions of a sequence. */
  byteLengthOf(positions: number): number
  /** The longest beginning of `tokens` that can be found. */
  copyOut(tokens: ArrayLike<number>): Promise<CopiedPositions>
  /** What is computed of an open sequence. */
  copyOf(slot: number): Promise<CopiedPositions>
  /**
   * Takes keys and values of tokens, a multiple of 16, to be found by whoever begins so.
   *
   * @returns false where there is no room now
   * @throws ContextOverflowError if there never is
   */
  copyIn(tokens: ArrayLike<number>, bytes: Uint8Array): Promise<boolean>
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
  /** Rows that a token is drawn for, and how, one of `each` a row. */
  readonly draws: {
    readonly rows: readonly number[]
    readonly each: readonly TokenDraw[]
    /** How many of the likeliest tokens to name beside each; unset: no probabilities. */
    readonly likeliest?: number | undefined
    /**
     * Tokens to draw behind each row, one after another, each fed for the next; unset: 1. More only where every
     * row of the batch is drawn for, in its order, and nothing else is wanted.
     */
    readonly steps?: number | undefined
    /** Whether as many steps will most likely be asked for behind these: an engine may begin with them. */
    readonly goesOn?: boolean | undefined
  }
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
  /** Of several steps those of the first step, then those of the second, and so on. */
  readonly tokens: DrawnTokens
  readonly scores: TokenScores
  /** (vectors, dim) */
  readonly vectors: Float32Array
}

export interface DecodeEngine {
  readonly config: ModelConfig
  /** Most rows in one pass; longer prompts are fed in pieces. */
  readonly maxRows: number
  /** Most steps of draws that gain something by being asked for at once; unset: 1. */
  readonly maxSteps?: number
  /** Of all sequences. */
  readonly cache: SequenceCache & CacheCopies
  /**
   * @returns logits (logitRows.length, vocabSize), valid until the next call
   * @throws ContextOverflowError when a position is outside the cache
   */
  forward(batch: RowBatch): Promise<Float32Array>
  /**
   * The same pass without the head: the vectors that it would turn into logits, after the final norm.
   *
   * @returns (logitRows.length, dim), valid until the next call
   * @throws ContextOverflowError when a position is outside the cache
   */
  vectors(batch: RowBatch): Promise<Float32Array>
  /**
   * The same pass, of whose logits only what they say of given tokens is handed out. Several targets
   * may share a row.
   *
   * @throws ContextOverflowError when a position is outside the cache
   */
  score(batch: RowBatch, targets: ScoreTargets): Promise<TokenScores>
  /**
   * One pass for whoever wants something of its rows: tokens, scores and vectors at once.
   *
   * @throws ContextOverflowError when a position is outside the cache
   */
  step(batch: Omit<RowBatch, 'logitRows'>, wants: PassWants): Promise<PassResults>
}
