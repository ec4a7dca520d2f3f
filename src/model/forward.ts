/**
 * One pass of the decoder as a list of commands; reads like the papers' equations.
 *
 * For each token row x (dim):
 *
 *   x = x + Wo subnorm(attention(rope(Wq a), rope(Wk a), Wv a))    a = norm(x)
 *   x = x + Wd subnorm(act(Wg b) * Wu b)                           b = norm(x)
 *   logits = head norm(x)                                          only for the rows that want them
 *
 * Ternary models (Ma et al. 2024): each W is a BitLinear, its input int8 per token after the norm.
 * Dense models: each W is a plain product. The sub-norms are there in BitNet, not in Llama.
 * Qwen 3 and Gemma 3 norm each head of q and k, Gemma 3 also what is added to x. In the BitNet embedding
 * models each W has a norm of its own on its input: a = norm_q(norm(x)) for Wq, and so on.
 *
 * In a mixture (Mixtral, Qwen 3 MoE) Wg, Wu and Wd are those of an expert e, and the second line is
 *
 *   x = x + sum over the chosen e of p_e Wd_e subnorm(act(Wg_e b) * Wu_e b)      p = softmax of their logits Wr b
 */

import type { AttentionCommand } from '../kernels/attention/op.ts'
import type {
  BlockTable,
  DenseMatrix,
  LayerCache,
  QuantizedBuffer,
  TernaryMatrix,
} from '../kernels/matrices.ts'
import type { Command } from '../kernels/ops.ts'
import type { HeadNorms } from '../kernels/rope-cache/op.ts'
import type { DeviceBuffer } from '../kernels/slice.ts'
import type { Experts, ModelConfig } from './config/config.ts'
import { type LayerOf, matricesOf } from './layers.ts'

/** A projection's weights; the kind decides how its input is prepared. */
export type LinearWeights =
  | { readonly kind: 'ternary'; readonly matrix: TernaryMatrix }
  | { readonly kind: 'dense'; readonly matrix: DenseMatrix }

/** A layer's matrices, by stack, and its norms; layers.ts has their shapes. */
export type LayerWeights = LayerOf<LinearWeights, DeviceBuffer> & {
  /** (experts, dim), of a mixture. */
  readonly router?: DenseMatrix | undefined
}

export interface DecoderWeights {
  /** (vocabSize, dim) */
  readonly embedding: DenseMatrix
  readonly layers: readonly LayerWeights[]
  /** (dim) */
  readonly finalNorm: DeviceBuffer
  /** (vocabSize, dim); the embedding itself where the head is tied. */
  readonly head: DenseMatrix
}

/** What a pass writes to on its way: allocated once, reused by every layer. */
export interface Activations {
  /** Rows whose logits are wanted, int32. */
  readonly logitRows: DeviceBuffer
  /** The residual stream, (rows, dim). */
  readonly x: DeviceBuffer
  /** Normalised input of a product, or what a product gives before it is normed, (rows, widest). */
  readonly normed: DeviceBuffer
  /** The same as int8, for a ternary one. */
  readonly quantized: QuantizedBuffer
  /** (rows, (nHeads + 2 nKvHeads) * headDim) */
  readonly qkv: DeviceBuffer
  /** Attention's result, (rows, nHeads * headDim). */
  readonly mixed: DeviceBuffer
  /** (rows, 2 ffnDim); in a mixture rows times those that a token goes to. */
  readonly gateUp: DeviceBuffer
  /** (rows, ffnDim); the same. */
  readonly hidden: DeviceBuffer
  /** Of a mixture. */
  readonly routing?: RoutingBuffers | undefined
  /** (logit rows, dim) */
  readonly last: DeviceBuffer
  /** (logit rows, vocabSize) */
  readonly logits: DeviceBuffer
  /** Pairs of a row of logits and a token to be scored, int32, and what token-scores says of them. */
  readonly pairs: DeviceBuffer
  readonly scores: DeviceBuffer
}

/** Which experts tokens go to, as `route` leaves it: each token once for each of its experts. */
export interface RoutingBuffers {
  /** (rows, experts) */
  readonly logits: DeviceBuffer
  /** (rows, top) each; indices but for the weights. */
  readonly weights: DeviceBuffer
  readonly places: DeviceBuffer
  readonly sources: DeviceBuffer
  readonly chosen: DeviceBuffer
  /** What goes into the experts, and then what they give, (rows * top, dim). */
  readonly rows: DeviceBuffer
}

export interface Pass {
  readonly config: ModelConfig
  readonly weights: DecoderWeights
  readonly activations: Activations
  /** Step entries, (rows, 4) int32, with limits that the cache has room for. */
  readonly step: DeviceBuffer
  /** Those of the rows whose logits are wanted. */
  readonly wantedStep: DeviceBuffer
  /** One per layer. */
  readonly cache: readonly LayerCache[]
  /** Where sequences are in it, one per layer. */
  readonly tables: readonly BlockTable[]
  /** The tokens of its sequences, (slots, capacity) int32. */
  readonly history: DeviceBuffer
  readonly capacity: number
  /** cos and sin, (positions, 2, headDim / 2). */
  readonly rotations: DeviceBuffer
  /** The same for layers with a window, where there are any. */
  readonly localRotations?: DeviceBuffer | undefined
  readonly rows: number
  /** How many rows' logits are wanted; 0 leaves out the head. */
  readonly logitRows: number
  /** Whether these rows pass the head, or only the norm before it. */
  readonly head: boolean
  /** How many tokens are scored by these logits. */
  readonly targets: number
  readonly matmulPrecision: MatmulPrecision
  readonly watch?: FfnWatch | undefined
}

/** What a layer's feed-forward leaves: gates, and up where that is computed whole, and its activations. */
export type FfnRows = Pick<Activations, 'gateUp' | 'hidden'> & { readonly rows: number }

/** Commands that a pass has behind each layer's activations. */
export type FfnWatch = (layer: number, ffn: FfnRows) => readonly Command[]

/**
 * What products with dense f16 weights keep of their inputs, as PyTorch's float32_matmul_precision: 13
 * bits, which are faster to multiply, or all of float32, for comparisons with float32 results.
 */
export const MATMUL_PRECISIONS = ['high', 'highest'] as const
export type MatmulPrecision = (typeof MATMUL_PRECISIONS)[number]

/**
 * Stripes of 16 rows of an int4 head whose logits are exact. Over 4,000 steps of sampled text of the
 * embedded model (before its chat tuning), the best token was among the 6 stripes with the largest near
 * logits and the best 40 among 106; what 256 cost is 6 % of the bytes of a vocabulary of 128,256.
 */
export const EXACT_STRIPES = 256

export function forward(pass: Pass): Command[] {
  const { config, weights, activations: a, rows, step } = pass
  const { history, capacity } = pass
  const { nHeads, vocabSize: tokenLimit } = config
  const { x, qkv } = a
  const commands: Command[] = []
  commands.push({ op: 'token-history', rows, tokenLimit, capacity, step, history })
  const factor = config.embeddingFactor
  commands.push({ op: 'embed', rows, step, table: weights.embedding, factor, out: x })
  for (const [i, w] of weights.layers.entries()) {
    const [cache, table] = [pass.cache[i], pass.tables[i]]
    const { rotations } = reachOf(pass, i)
    const headNorms = headNormsOf(w, config)
    commands.push(
      ...stacked(pass, w, 'qkv', w.attentionNorm, [
        w.queryInputNorm,
        w.keyInputNorm,
        w.valueInputNorm,
      ]),
      { op: 'rope-cache', rows, nHeads, step, qkv, rotations, cache, table, headNorms },
    )
    const isShort = i === weights.layers.length - 1 && leavesRowsOut(pass)
    if (isShort) commands.push(...gatherWanted(pass))
    const own = isShort ? ofWanted(pass) : pass
    if (own.rows === 0) continue
    commands.push(...mixing(own, i), ...feedForward(own, i))
  }
  if (pass.logitRows > 0) commands.push(...logits(pass))
  if (pass.targets > 0) {
    const { logits, pairs, scores: out } = a
    const cols = config.vocabSize
    commands.push({ op: 'token-scores', rows: pass.targets, cols, logits, pairs, out })
  }
  return commands
}

/** x = x + Wo subnorm(attention(...)) of a layer whose keys and values are in the cache. */
function mixing(pass: Pass, layer: number): Command[] {
  const { rows, step, activations, weights, config } = pass
  const { nHeads } = config
  const { x, qkv, mixed: out } = activations
  const [cache, table] = [pass.cache[layer], pass.tables[layer]]
  const { window } = reachOf(pass, layer)
  const w = weights.layers[layer]
  return [
    { op: 'attention', rows, nHeads, step, qkv, cache, table, out, window },
    ...addLinear(pass, x, out, w.attentionSubNorm, w.output, w.attentionPostNorm),
  ]
}

function feedForward(pass: Pass, layer: number): Command[] {
  const { rows, activations, weights, config } = pass
  const { x, gateUp, hidden } = activations
  const w = weights.layers[layer]
  if (config.experts) return expertFfn(pass, w, config.experts)
  return [
    ...gatedFfn(pass, w),
    ...(pass.watch?.(layer, { rows, gateUp, hidden }) ?? []),
    ...addLinear(pass, x, hidden, w.ffnSubNorm, w.down, w.ffnPostNorm),
  ]
}

/**
 * Whether the last layer goes on, once its keys and values are in the cache, with those rows alone whose logits are
 * wanted: nobody reads what it gives for the others of a prompt. What feed-forwards are multiplied in then holds
 * their queries.
 */
function leavesRowsOut({ rows, logitRows, watch, config }: Pass): boolean {
  const { nHeads, nKvHeads, headDim, ffnDim } = config
  const fits = (nHeads + 2 * nKvHeads) * headDim <= 2 * ffnDim
  return logitRows < rows && watch === undefined && fits
}

/** The rows whose logits are wanted, to where {@link ofWanted} has them. */
function gatherWanted({ config, activations, logitRows: rows }: Pass): Command[] {
  if (rows === 0) return []
  const { logitRows: index, x, last, qkv, gateUp } = activations
  const cols = (config.nHeads + 2 * config.nKvHeads) * config.headDim
  return [
    { op: 'gather-rows', rows, cols: config.dim, x, index, out: last },
    { op: 'gather-rows', rows, cols, x: qkv, index, out: gateUp },
  ]
}

function ofWanted(pass: Pass): Pass {
  const { activations, logitRows: rows, wantedStep: step } = pass
  const { last: x, gateUp: qkv } = activations
  return { ...pass, rows, step, activations: { ...activations, x, qkv } }
}

/** How far a layer looks back, and by which angles it turns heads. */
function reachOf(
  { config, rotations, localRotations }: Pass,
  layer: number,
): { rotations: DeviceBuffer; window: AttentionCommand['window'] } {
  const local = config.localAttention
  if (local === undefined || localRotations === undefined || !local.layers.includes(layer)) {
    return { rotations, window: undefined }
  }
  return { rotations: localRotations, window: local.window }
}

/** Norms of query and key heads, for bodies that have them. */
function headNormsOf(w: LayerWeights, { normEps: eps }: ModelConfig): HeadNorms | undefined {
  const { queryHeadNorm: query, keyHeadNorm: key } = w
  return query && key && { query, key, eps }
}

/** out = W norm(x) with projections stacked in W; each on its own norm of that, where it has one. */
function stacked(
  pass: Pass,
  w: LayerWeights,
  stack: 'qkv' | 'gateUp',
  norm: DeviceBuffer,
  inputNorms: readonly (DeviceBuffer | undefined)[],
): Command[] {
  const { rows, activations, config } = pass
  const { x, normed, quantized, [stack]: out } = activations
  const weights = w[stack]
  if (inputNorms[0] === undefined || weights.kind === 'dense') {
    return linear(pass, out, x, norm, weights)
  }
  const eps = config.normEps
  const { matrix } = weights
  const cols = matrix.cols
  const product = { op: 'ternary-matmul', rows, weights: matrix, x: quantized, out } as const
  return [
    { op: 'rms-norm', rows, cols, eps, x, weight: norm, out: normed },
    ...matricesOf(config, stack).flatMap(({ first, rows: count }, i): Command[] => [
      { op: 'quantize', rows, cols, eps, x: normed, weight: inputNorms[i], out: quantized },
      { ...product, accumulate: false, part: { first, count } },
    ]),
  ]
}

/** hidden = act(Wg norm(x)) * Wu norm(x), by one command where the gate rules rows of Wu out. */
function gatedFfn(pass: Pass, w: LayerWeights): Command[] {
  const { rows, activations } = pass
  const { x, quantized, gateUp, hidden: out } = activations
  const { normEps: eps, activation, ffnDim } = pass.config
  if (w.gateUp.kind !== 'ternary' || w.gateUp.matrix.order !== 'gated') {
    return [
      ...stacked(pass, w, 'gateUp', w.ffnNorm, [w.gateInputNorm, w.upInputNorm]),
      { op: 'gated-activation', rows, cols: ffnDim, activation, gateUp, out },
    ]
  }
  const { matrix: weights } = w.gateUp
  return [
    { op: 'quantize', rows, cols: weights.cols, eps, x, weight: w.ffnNorm, out: quantized },
    { op: 'gated-matmul', rows, weights, x: quantized, gateUp, out },
  ]
}

/** x = x + the weighted results of the experts that the router chooses for each row; rows go sorted by expert. */
function expertFfn(pass: Pass, w: LayerWeights, { count: experts, top }: Experts): Command[] {
  const { rows, activations } = pass
  const { dim, ffnDim, activation, normEps: eps } = pass.config
  const { x, normed, quantized, gateUp, hidden, routing } = activations
  const [first, last] = [w.gateUp, w.down]
  const isWhole = w.router && routing && first.kind === 'ternary' && last.kind === 'ternary'
  if (!isWhole) throw new TypeError('A mixture of experts has ternary weights and a router.')
  const { logits, weights, places, sources, chosen, rows: sorted } = routing
  const all = { rows: rows * top } as const
  const product = { op: 'expert-matmul', ...all, experts, x: quantized, chosen } as const
  return [
    { op: 'rms-norm', rows, cols: dim, eps, x, weight: w.ffnNorm, out: normed },
    headProduct(rows, w.router, normed, logits, true),
    { op: 'route', rows, experts, top, logits, weights, places, sources, chosen },
    { op: 'gather-rows', ...all, cols: dim, x: normed, index: sources, out: sorted },
    { op: 'quantize', ...all, cols: dim, eps, x: sorted, weight: undefined, out: quantized },
    { ...product, weights: first.matrix, out: gateUp },
    { op: 'gated-activation', ...all, cols: ffnDim, activation, gateUp, out: hidden },
    { op: 'quantize', ...all, cols: ffnDim, eps, x: hidden, weight: w.ffnSubNorm, out: quantized },
    { ...product, weights: last.matrix, out: sorted },
    { op: 'expert-sum', rows, cols: dim, top, x: sorted, weights, places, out: x },
  ]
}

/** out = W norm(x) */
function linear(
  pass: Pass,
  out: DeviceBuffer,
  x: DeviceBuffer,
  norm: DeviceBuffer | undefined,
  weights: LinearWeights,
  accumulate = false,
): Command[] {
  const { rows, activations } = pass
  const eps = pass.config.normEps
  const cols = weights.matrix.cols
  if (weights.kind === 'ternary') {
    const quantized = activations.quantized
    const matrix = weights.matrix
    return [
      { op: 'quantize', rows, cols, eps, x, weight: norm, out: quantized },
      { op: 'ternary-matmul', rows, weights: matrix, x: quantized, out, accumulate },
    ]
  }
  const matrix = weights.matrix
  const wholeInput = pass.matmulPrecision === 'highest'
  if (norm === undefined) {
    return [{ op: 'dense-matmul', rows, weights: matrix, x, out, accumulate, wholeInput }]
  }
  const normed = activations.normed
  return [
    { op: 'rms-norm', rows, cols, eps, x, weight: norm, out: normed },
    { op: 'dense-matmul', rows, weights: matrix, x: normed, out, accumulate, wholeInput },
  ]
}

/** out = out + W norm(x), or out + postNorm(W norm(x)): a projection back into the residual stream. */
function addLinear(
  pass: Pass,
  out: DeviceBuffer,
  x: DeviceBuffer,
  norm: DeviceBuffer | undefined,
  weights: LinearWeights,
  postNorm: DeviceBuffer | undefined,
): Command[] {
  if (postNorm === undefined) return linear(pass, out, x, norm, weights, true)
  const { normed } = pass.activations
  const { rows: cols } = weights.matrix
  const eps = pass.config.normEps
  const added = { rows: pass.rows, cols, eps, x: normed, weight: postNorm, out }
  return [...linear(pass, normed, x, norm, weights), { op: 'rms-norm', ...added, accumulate: true }]
}

/** The head is the dearest product of a small model, so it runs only on the rows that are asked for. */
function logits(pass: Pass): Command[] {
  const { config, weights, activations: a, logitRows: rows, matmulPrecision } = pass
  const isWhole = matmulPrecision === 'highest'
  const { dim, normEps: eps } = config
  const { x, last, normed } = a
  return [
    ...(leavesRowsOut(pass)
      ? []
      : [{ op: 'gather-rows', rows, cols: dim, x, index: a.logitRows, out: last } as const]),
    { op: 'rms-norm', rows, cols: dim, eps, x: last, weight: weights.finalNorm, out: normed },
    ...(pass.head ? [headProduct(rows, weights.head, normed, a.logits, isWhole)] : []),
  ]
}

export function headProduct(
  rows: number,
  weights: DenseMatrix,
  x: DeviceBuffer,
  out: DeviceBuffer,
  wholeInput = false,
): Command {
  return weights.type === 'int4'
    ? { op: 'head-matmul', rows, weights, x, out, exactStripes: EXACT_STRIPES }
    : { op: 'dense-matmul', rows, weights, x, out, accumulate: false, wholeInput }
}
