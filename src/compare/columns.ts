/**
 * The columns of a comparison: one architecture, held in different precisions. FP16 is a LLaMA; int8 the
 * same with int8 projections, a scale a row, multiplied with activations of 16 bits as the int8 head
 * is; b1.58 and b1 are BitNets, with sub-norms, ternary or binary weights and int8 activations. b1's
 * codes are -1 and +1 in the ternary layout, so its bytes and its speed are those of b1.58.
 */

import { costsOf, type ModelCosts } from '../bench/costs.ts'
import type { ModelShape } from '../bench/shapes.ts'
import { UsageError } from '../errors.ts'
import type { CacheType, DenseType, TernaryPacking } from '../kernels/storage.ts'
import { cacheBytesPerToken } from '../model/cache/kv-cache.ts'
import type { ModelConfig } from '../model/config/config.ts'
import type { DecoderWeights } from '../model/forward.ts'
import { partsOf } from '../model/layers.ts'
import type { HeadType } from '../model/weights/dense-weights.ts'
import { chosenForms, type ProjectionType } from '../model/weights/random-weights.ts'
import { plannedWeights, weightBytes } from '../model/weights/weight-memory.ts'

export const COLUMNS = ['fp16', 'int8', 'b1.58', 'b1'] as const
export type ColumnName = (typeof COLUMNS)[number]

const PROJECTIONS: Readonly<Record<ColumnName, ProjectionType>> = {
  fp16: 'f16',
  int8: 'int8',
  'b1.58': 'ternary',
  b1: 'binary',
}

/** @throws UsageError with the columns there are */
export function columnNamed(name: string): ColumnName {
  const known = COLUMNS.find((column) => column === name)
  if (known !== undefined) return known
  throw new UsageError(`Expected a column to be one of ${COLUMNS.join(', ')}, got "${name}".`)
}

export interface ColumnOptions {
  /** Of all columns but fp16, which has an f16 head. Unset: int8. */
  readonly head?: HeadType | undefined
  readonly packing: TernaryPacking
  readonly kv: CacheType
}

/** A column of one shape, ready to be made. */
export interface Column {
  readonly name: ColumnName
  readonly config: ModelConfig
  readonly projections: ProjectionType
  /** Embedding and head. */
  readonly table: DenseType
  readonly packing: TernaryPacking
  readonly kv: CacheType
  readonly memory: MemoryShares
  readonly costs: ModelCosts
}

/** Bytes of a model, as they lie in memory, of its layers and of the rest apart. */
export interface MemoryShares {
  /** Projections and norms: what the papers count as the model without embeddings. */
  readonly layerBytes: number
  /** Embedding and head. */
  readonly tableBytes: number
  /** Of one position of one sequence. */
  readonly cacheBytesPerToken: number
}

/** @param positions that its context is to hold */
export function planColumn(
  name: ColumnName,
  shape: ModelShape,
  positions: number,
  { head = 'int8', packing, kv }: ColumnOptions,
): Column {
  const projections = PROJECTIONS[name]
  const isBitNet = projections === 'ternary' || projections === 'binary'
  const table = name === 'fp16' ? 'f16' : head
  const { title: _, ...sizes } = shape
  const config: ModelConfig = {
    ...sizes,
    architecture: isBitNet ? 'bitnet' : 'llama',
    name: `${shape.title}, ${name}`,
    contextLength: positions,
    ropeTheta: 10_000,
    normEps: 1e-5,
    activation: 'silu',
    subNorms: isBitNet,
    tiedHead: false,
    linear: isBitNet ? 'ternary' : 'dense',
  }
  const held = { projections, table, packing }
  const weights = plannedWeights(partsOf(config), chosenForms(held))
  const costs = costsOf(config, weights, cacheBytesPerToken(config, kv))
  return { name, config, ...held, kv, memory: memoryShares(costs, weights), costs }
}

export function memoryShares(costs: ModelCosts, weights: DecoderWeights): MemoryShares {
  const { ternaryBytes, denseBytes, tableBytes } = weightBytes(weights)
  return {
    layerBytes: ternaryBytes + denseBytes - tableBytes,
    tableBytes,
    cacheBytesPerToken: costs.cacheBytesPerToken,
  }
}

/** Bytes of the head that a decoded token reads, of all that it reads without a cache. */
export function headShare({ ternaryBytes, denseBytes: dense, headBytes }: ModelCosts): number {
  return headBytes / (ternaryBytes + dense + headBytes)
}
