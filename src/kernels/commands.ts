/**
 * The commands that a list may hold, one per operation of a decoder. Each operation's folder under
 * kernels/ has its reference, which says exactly what is computed; here stand the operands.
 *
 * Buffers are row-major float32 unless noted. `rows` is the number of tokens in the pass, whatever
 * sequences they belong to; a slice may be longer than the command needs.
 */
import type { BufferSlice } from './slice.ts'

/**
 * One entry a token in a step buffer, four int32: the token's id, the KV cache's slot (the sequence),
 * the position in that sequence, and 0.
 */
export const STEP_WORDS = 4

/** How a dense matrix is stored; see kernels/dense-matmul/layout.ts. */
export type DenseType = 'f32' | 'f16' | 'int8' | 'int4'

/** A dense matrix (rows, cols) in stripes of 16 rows. */
export interface DenseMatrix {
  readonly type: DenseType
  readonly rows: number
  readonly cols: number
  readonly data: BufferSlice
  /** Only for int8 and int4: one float32 a padded row. */
  readonly scales: BufferSlice | undefined
}

/** 2 bits a weight (ternary/pack.ts), or 1.6 bits, five weights a byte (ternary/base3.ts). */
export type TernaryPacking = '2bit' | 'base3'

/** A ternary matrix (rows, cols), with one float32 scale a padded row. */
export interface TernaryMatrix {
  /** Unset: 2bit. */
  readonly packing?: TernaryPacking | undefined
  readonly rows: number
  readonly cols: number
  readonly data: BufferSlice
  readonly scales: BufferSlice
}

/** int8 activations: q (rows, padded cols), one scale (float32) and one sum of q (int32) a token. */
export interface QuantizedBuffer {
  readonly q: BufferSlice
  readonly scales: BufferSlice
  readonly sums: BufferSlice
}

/** How keys and values are stored; see kernels/attention/layout.ts. */
export type CacheType = 'f32' | 'f16' | 'int8' | 'int4'

/** The KV cache of one layer; see kernels/attention/layout.ts. */
export interface LayerCache {
  /** Unset: f16. */
  readonly type?: CacheType
  readonly keys: BufferSlice
  readonly values: BufferSlice
  readonly slots: number
  /** Positions a slot holds, a multiple of 16. */
  readonly capacity: number
  readonly nKvHeads: number
  readonly headDim: number
}

/** out (rows, table.cols) = rows of the table named by the step buffer's tokens. */
export interface EmbedCommand {
  readonly op: 'embed'
  readonly rows: number
  readonly step: BufferSlice
  readonly table: DenseMatrix
  /** What the rows are multiplied with. Unset: 1. */
  readonly factor?: number | undefined
  readonly out: BufferSlice
}

/** out (rows, cols) = x rows named by `index` (rows int32). */
export interface GatherRowsCommand {
  readonly op: 'gather-rows'
  readonly rows: number
  readonly cols: number
  readonly x: BufferSlice
  readonly index: BufferSlice
  readonly out: BufferSlice
}

/** out (rows, cols) = x / sqrt(mean(x^2) + eps) * weight; added to `out` if `accumulate`. */
export interface RmsNormCommand {
  readonly op: 'rms-norm'
  readonly rows: number
  readonly cols: number
  readonly eps: number
  readonly x: BufferSlice
  readonly weight: BufferSlice
  readonly out: BufferSlice
  /** Unset: false. */
  readonly accumulate?: boolean | undefined
}

/** Absmax int8 of each token of x (rows, cols), after an RMSNorm where `weight` is given. */
export interface QuantizeCommand {
  readonly op: 'quantize'
  readonly rows: number
  readonly cols: number
  readonly eps: number
  readonly x: BufferSlice
  readonly weight: BufferSlice | undefined
  readonly out: QuantizedBuffer
}

/** Rows [first, first + count) of a matrix. */
export interface RowRange {
  readonly first: number
  readonly count: number
}

/** BitLinear's product: out (rows, weights.rows) = W q * scales; added to `out` if `accumulate`. */
export interface TernaryMatmulCommand {
  readonly op: 'ternary-matmul'
  readonly rows: number
  readonly weights: TernaryMatrix
  readonly x: QuantizedBuffer
  readonly out: BufferSlice
  readonly accumulate: boolean
  /**
   * Computes only these rows of the matrix, in their place of `out`: `first` is a multiple of 16. Unset:
   * all.
   */
  readonly part?: RowRange | undefined
}

/** out (rows, weights.rows) = W x with dense weights; added to `out` if `accumulate`. */
export interface DenseMatmulCommand {
  readonly op: 'dense-matmul'
  readonly rows: number
  readonly weights: DenseMatrix
  readonly x: BufferSlice
  readonly out: BufferSlice
  readonly accumulate: boolean
  /** With f16 weights: x keeps all its bits, where speed would have 13 of them. Unset: false. */
  readonly wholeInput?: boolean | undefined
}

/**
 * The head: out (rows, weights.rows) = W x with int4 weights. All results are near; those of the
 * `exactStripes` stripes of 16 rows with the largest ones are what dense-matmul gives with int8.
 */
export interface HeadMatmulCommand {
  readonly op: 'head-matmul'
  readonly rows: number
  readonly weights: DenseMatrix
  readonly x: BufferSlice
  readonly out: BufferSlice
  readonly exactStripes: number
}

/** Weights (headDim) of the norms of query and key heads. */
export interface HeadNorms {
  readonly query: BufferSlice
  readonly key: BufferSlice
  readonly eps: number
}

/**
 * Rotary embedding and cache write. qkv (rows, (nHeads + 2 nKvHeads) * headDim): queries are rotated
 * in place, rotated keys and values go to the cache, rounded to its type.
 */
export interface RopeCacheCommand {
  readonly op: 'rope-cache'
  readonly rows: number
  readonly nHeads: number
  readonly step: BufferSlice
  readonly qkv: BufferSlice
  /** cos then sin, (positions, 2, headDim / 2). */
  readonly rotations: BufferSlice
  readonly cache: LayerCache
  /** RMSNorm of each head before it is rotated. Unset: none. */
  readonly headNorms?: HeadNorms | undefined
}

/**
 * Causal grouped-query attention over the cache: out (rows, nHeads * headDim). Queries are read from
 * qkv's rows as rope-cache left them.
 */
export interface AttentionCommand {
  readonly op: 'attention'
  readonly rows: number
  readonly nHeads: number
  readonly step: BufferSlice
  readonly qkv: BufferSlice
  readonly cache: LayerCache
  readonly out: BufferSlice
  /** Positions that a row attends to, its own included. Unset: all. */
  readonly window?: number | undefined
}

export type Activation = 'relu2' | 'silu' | 'gelu'

/** out (rows, cols) = activation(gate) * up, with gateUp (rows, 2 * cols): gate first, then up. */
export interface GatedActivationCommand {
  readonly op: 'gated-activation'
  readonly rows: number
  readonly cols: number
  readonly activation: Activation
  readonly gateUp: BufferSlice
  readonly out: BufferSlice
}

/**
 * What logits say of tokens: out (rows, 3) for each pair (row of logits, token) of int32; see
 * token-scores/reference.ts.
 */
export interface TokenScoresCommand {
  readonly op: 'token-scores'
  readonly rows: number
  /** The size of the vocabulary. */
  readonly cols: number
  readonly logits: BufferSlice
  readonly pairs: BufferSlice
  readonly out: BufferSlice
}

/** How ternary codes lie before they are packed; see kernels/pack-ternary/. */
export type CodesType = 'int8' | 'i2s'

/**
 * Loading: packs `rows` rows of codes (rows, out.cols) into the matrix, from `firstRow` on. The
 * matrix's scales are not touched.
 */
export interface PackTernaryCommand {
  readonly op: 'pack-ternary'
  readonly rows: number
  readonly firstRow: number
  readonly codes: BufferSlice
  /**
   * int8 codes, or a file's own I2_S bytes, four codes each, for matrices of whole blocks of 128
   * columns. Unset: int8.
   */
  readonly codesType?: CodesType | undefined
  readonly out: TernaryMatrix
}

/** How the values that pack-dense reads are stored. */
export type ValuesType = 'f32' | 'f16' | 'bf16'

/** Loading: packs `rows` rows of values (rows, out.cols) into the matrix, from `firstRow` on. */
export interface PackDenseCommand {
  readonly op: 'pack-dense'
  readonly rows: number
  readonly firstRow: number
  /** Unset: f32. */
  readonly valuesType?: ValuesType
  readonly values: BufferSlice
  readonly out: DenseMatrix
}

export type Command =
  | EmbedCommand
  | GatherRowsCommand
  | RmsNormCommand
  | QuantizeCommand
  | TernaryMatmulCommand
  | DenseMatmulCommand
  | HeadMatmulCommand
  | RopeCacheCommand
  | AttentionCommand
  | GatedActivationCommand
  | TokenScoresCommand
  | PackTernaryCommand
  | PackDenseCommand

export type OpName = Command['op']
