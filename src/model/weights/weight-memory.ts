/**
 * The bytes that a file's weights take when they are loaded, by the shapes in its header alone.
 */
import type { ModelFile, TensorInfo } from '../../formats/model-file.ts'
import type { DenseType, TernaryPacking } from '../../kernels/commands.ts'
import { denseByteLength, hasRowScales } from '../../kernels/dense-matmul/layout.ts'
import { ternaryByteLength } from '../../kernels/operands.ts'
import { padToTile } from '../../ternary/index.ts'
import type { ModelConfig } from '../config/config.ts'
import { type HeadType, projectionType, tableType } from './dense-weights.ts'
import { type LayerPlan, type MatrixPart, planWeights } from './weight-plan.ts'

export interface WeightMemory {
  /** Ternary weights in their packed layout, with a scale a row. */
  readonly ternaryBytes: number
  /** Embedding, head, norms, and the projections of a dense model. */
  readonly denseBytes: number
  /** How embedding and head are held. */
  readonly head: DenseType
  readonly packing: TernaryPacking
}

/**
 * What {@link loadWeights} will allocate. Two things only the weights themselves tell: an f16 matrix
 * with a value beyond 65,504 becomes f32, and `weights: 'auto'`, taken as 2bit here, may become base3.
 *
 * @throws FormatError if the file lacks a tensor; UsageError if `head` is none of its values
 */
export function weightMemory(
  file: ModelFile,
  config: ModelConfig,
  options: {
    readonly head?: HeadType | undefined
    readonly weights?: 'auto' | TernaryPacking | undefined
  } = {},
): WeightMemory {
  const plan = planWeights(file, config)
  const packing = options.weights === 'base3' ? 'base3' : '2bit'
  const head = tableType(plan.head ?? plan.embedding, options.head)
  const tables = plan.head === undefined ? [plan.embedding] : [plan.embedding, plan.head]
  const tableBytes = sum(tables.map((part) => denseBytes([part], tableType(part, options.head))))
  const matrices = plan.layers.flatMap(({ qkv, output, gateUp, down }) => [
    qkv,
    output,
    gateUp,
    down,
  ])
  const norms = [plan.finalNorm, ...plan.layers.flatMap(normsOf)]
  const denseRest = tableBytes + sum(norms.map(({ shape }) => 4 * shape[0]))
  if (config.linear === 'ternary') {
    const ternaryBytes = sum(matrices.map((parts) => ternaryBytesOf(parts, packing)))
    return { ternaryBytes, denseBytes: denseRest, head, packing }
  }
  const linear = sum(matrices.map((parts) => denseBytes(parts, projectionType(parts))))
  return { ternaryBytes: 0, denseBytes: denseRest + linear, head, packing }
}

/** Parts that are stacked into one matrix pad to whole stripes together. */
function ternaryBytesOf(parts: readonly MatrixPart[], packing: TernaryPacking): number {
  const rows = sum(parts.map((part) => part.rows))
  return ternaryByteLength({ packing, rows, cols: parts[0].cols }) + 4 * padToTile(rows)
}

function denseBytes(parts: readonly MatrixPart[], type: DenseType): number {
  const rows = sum(parts.map((part) => part.rows))
  return denseByteLength(type, rows, parts[0].cols) + (hasRowScales(type) ? 4 * padToTile(rows) : 0)
}

function normsOf(layer: LayerPlan): TensorInfo[] {
  const { qkvInputNorms = [], headNorms = [], gateUpInputNorms = [] } = layer
  const single = [
    layer.attentionNorm,
    layer.attentionSubNorm,
    layer.attentionPostNorm,
    layer.ffnNorm,
    layer.ffnSubNorm,
    layer.ffnPostNorm,
  ].filter((norm) => norm !== undefined)
  return [...single, ...qkvInputNorms, ...headNorms, ...gateUpInputNorms]
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
