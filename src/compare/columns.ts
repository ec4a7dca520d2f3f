/**
 * The columns of a comparison: one architecture, held in different precisions. FP16 is a LLaMA; int8 the
 * same with int8 projections, a scale a row, multiplied with activations of 16 bits as the int8 head
 * is; b1.58 and b1 are BitNets, with sub-norms, ternary or binary weights and int8 activations. b1's
 * codes are -1 and +1 in the ternary layout, so its bytes and its speed are those of b1.58.
 */
import { costsOf, type ModelCosts } from '../bench/costs.ts'
import type { ModelShape } from '../bench/shapes.ts'
import { UsageError } from '../errors.ts'
import type { CacheType, DenseType, TernaryPacking } from '../kernels/commands.ts'
import { denseByteLength, hasRowScales } from '../kernels/dense-matmul/layout.ts'
import { ternaryByteLength } from '../kernels/operands.ts'
import { type DeviceBuffer, WholeBuffer } from '../kernels/slice.ts'
import { cacheBytesPerToken } from '../model/cache/kv-cache.ts'
import type { ModelConfig } from '../model/config/config.ts'
import type { DecoderWeights, LinearWeights } from '../model/forward.ts'
import type { HeadType } from '../model/weights/dense-weights.ts'
import type { ProjectionType } from '../model/weights/random-weights.ts'
import { padToTile } from '../ternary/index.ts'

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
  readonly memory: WeightMemory
  readonly costs: ModelCosts
}

/** Bytes of a model, as they lie in memory. */
export interface WeightMemory {
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
  const weights = plannedWeights(config, projections, table, packing)
  const costs = costsOf(config, weights, cacheBytesPerToken(config, kv))
  const memory = weightMemory(costs, weights)
  return { name, config, projections, table, packing, kv, memory, costs }
}

export function weightMemory(costs: ModelCosts, { embedding, head }: DecoderWeights): WeightMemory {
  const bytesOf = ({ data, scales }: DecoderWeights['head']) =>
    data.byteLength + (scales?.byteLength ?? 0)
  return {
    layerBytes: costs.ternaryBytes + costs.denseBytes,
    tableBytes: bytesOf(head) + (embedding === head ? 0 : bytesOf(embedding)),
    cacheBytesPerToken: costs.cacheBytesPerToken,
  }
}

/** Weights with the sizes of real ones and no memory behind them. */
function plannedWeights(
  config: ModelConfig,
  projections: ProjectionType,
  table: DenseType,
  packing: TernaryPacking,
): DecoderWeights {
  const { dim, nHeads, nKvHeads, headDim, ffnDim, nLayers, vocabSize, subNorms } = config
  const floats = (length: number): DeviceBuffer => planned(length * 4)
  const dense = (type: DenseType, rows: number, cols: number) => {
    const scales = hasRowScales(type) ? floats(padToTile(rows)) : undefined
    return { type, rows, cols, data: planned(denseByteLength(type, rows, cols)), scales }
  }
  const linear = (rows: number, cols: number): LinearWeights => {
    if (projections !== 'ternary' && projections !== 'binary') {
      return { kind: 'dense', matrix: dense(projections, rows, cols) }
    }
    const shape = { packing, rows, cols }
    const data = planned(ternaryByteLength(shape))
    return { kind: 'ternary', matrix: { ...shape, data, scales: floats(padToTile(rows)) } }
  }
  const mixedDim = nHeads * headDim
  const layer = {
    attentionNorm: floats(dim),
    qkv: linear((nHeads + 2 * nKvHeads) * headDim, dim),
    attentionSubNorm: subNorms ? floats(mixedDim) : undefined,
    output: linear(dim, mixedDim),
    ffnNorm: floats(dim),
    gateUp: linear(2 * ffnDim, dim),
    ffnSubNorm: subNorms ? floats(ffnDim) : undefined,
    down: linear(dim, ffnDim),
  }
  return {
    embedding: dense(table, vocabSize, dim),
    layers: Array.from({ length: nLayers }, () => layer),
    finalNorm: floats(dim),
    head: dense(table, vocabSize, dim),
  }
}

function planned(byteLength: number): DeviceBuffer {
  return new WholeBuffer('planned', byteLength)
}

/** Bytes of the head that a decoded token reads, of all that it reads without a cache. */
export function headShare({ ternaryBytes, denseBytes: dense, headBytes }: ModelCosts): number {
  return headBytes / (ternaryBytes + dense + headBytes)
}
