/**
 * What a pass of a model must read and compute, counted from its weights: the arithmetic that turns
 * tokens per second into bytes per second, multiply-accumulates per second and joules.
 */
import type { DenseMatrix } from '../kernels/matrices.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { type DecoderWeights, EXACT_STRIPES, type LinearWeights } from '../model/forward.ts'
import { expertsIn, normsOf, STACKS, type Stack } from '../model/layers.ts'
import { TILE } from '../ternary/index.ts'

export interface ModelCosts {
  /** Bytes of the ternary matrices with their scales that a token's pass reads: of experts, those it goes to. */
  readonly ternaryBytes: number
  /** Bytes of dense projections, routers and norms, which every pass reads. */
  readonly denseBytes: number
  /** Bytes of the head that a pass with logits reads. */
  readonly headBytes: number
  /** Bytes of keys and values of one position, all layers. */
  readonly cacheBytesPerToken: number
  /** Multiply-accumulates per token in ternary products: int8 activations, one addition a weight. */
  readonly ternaryMacs: number
  /** Scales that a token's ternary products are multiplied with: inputs and outputs of each. */
  readonly ternaryScalings: number
  /** Multiply-accumulates per token in dense projections. */
  readonly denseMacs: number
  /** Those of them whose weights are int8. */
  readonly int8Macs: number
  /** Multiply-accumulates per token whose logits are wanted. */
  readonly headMacs: number
  /** Multiply-accumulates per token and per position that it attends to, all layers. */
  readonly attentionMacsPerPosition: number
}

export function costsOf(
  config: ModelConfig,
  weights: DecoderWeights,
  cacheBytesPerToken: number,
): ModelCosts {
  const matrices = weights.layers.flatMap((layer) =>
    STACKS.map((stack) => ({ ...layer[stack], ...usesOf(config, stack) })),
  )
  const ternary = matrices.filter(({ kind }) => kind === 'ternary')
  const dense = matrices.filter(({ kind }) => kind === 'dense')
  const int8 = dense.filter(({ matrix }) => 'type' in matrix && matrix.type === 'int8')
  const norms = [weights.finalNorm, ...weights.layers.flatMap((layer) => normsOf(layer))]
  const routers = weights.layers.flatMap(({ router }) => router ?? [])
  const { nLayers, nHeads, headDim } = config
  return {
    ternaryBytes: sum(ternary, bytesOf),
    denseBytes:
      sum(dense, bytesOf) + sum(routers, denseBytes) + sum(norms, ({ byteLength }) => byteLength),
    headBytes: denseBytes(weights.head),
    cacheBytesPerToken,
    ternaryMacs: sum(ternary, macsOf),
    ternaryScalings: sum(
      ternary,
      ({ matrix: { rows, cols }, used, of }) => used * (rows / of + cols),
    ),
    denseMacs: sum(dense, macsOf) + sum(routers, ({ rows, cols }) => rows * cols),
    int8Macs: sum(int8, macsOf),
    headMacs: weights.head.rows * weights.head.cols,
    attentionMacsPerPosition: 2 * nLayers * nHeads * headDim,
  }
}

/** Bytes that a pass reads whose sequences attend to `positions` positions each. */
export function passBytes(
  costs: ModelCosts,
  { batch, positions }: { batch: number; positions: number },
): number {
  const { ternaryBytes, denseBytes, headBytes, cacheBytesPerToken } = costs
  return ternaryBytes + denseBytes + headBytes + batch * positions * cacheBytesPerToken
}

/** What the cost of a dense matrix depends on. */
type DenseSize = Pick<DenseMatrix, 'type' | 'rows' | 'cols'> & {
  readonly data: { readonly byteLength: number }
  readonly scales?: { readonly byteLength: number } | undefined
}

/** Bytes of a dense matrix that a product with one token reads. */
export function denseBytes({ type, rows, cols, data, scales }: DenseSize): number {
  const scaleBytes = scales?.byteLength ?? 0
  if (type !== 'int4') return data.byteLength + scaleBytes
  // The plane of the high nibbles, and both planes of the rows that are computed again.
  const exactRows = Math.min(rows, EXACT_STRIPES * TILE)
  return data.byteLength / 2 + exactRows * cols + scaleBytes
}

/** The matrices of a stack, and how many of them a token meets. */
type Used = LinearWeights & { readonly used: number; readonly of: number }

function usesOf({ experts }: ModelConfig, stack: Stack): Pick<Used, 'used' | 'of'> {
  const of = expertsIn({ experts }, stack)
  return { used: of > 1 ? (experts?.top ?? 1) : 1, of }
}

function bytesOf(weights: Used): number {
  if (weights.kind === 'dense') return denseBytes(weights.matrix)
  const { data, scales } = weights.matrix
  return ((data.byteLength + scales.byteLength) * weights.used) / weights.of
}

function macsOf({ matrix, used, of }: Used): number {
  return (matrix.rows * matrix.cols * used) / of
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0)
}
