/**
 * Loads a decoder's weights from a file into a backend's memory, one tensor after another: peak memory
 * is the packed weights plus one chunk of rows.
 */
import type { Backend } from '../../backends/backend.ts'
import { FormatError } from '../../errors.ts'
import type { ModelFile, TensorInfo } from '../../formats/model-file.ts'
import type { TernaryPacking } from '../../kernels/commands.ts'
import { TILE } from '../../ternary/index.ts'
import { BufferOwner } from '../buffer-owner.ts'
import type { ModelConfig } from '../config/config.ts'
import type { DecoderWeights, LayerWeights, LinearWeights, PartInput } from '../forward.ts'
import {
  type HeadType,
  loadDenseMatrix,
  loadVector,
  projectionType,
  tableType,
} from './dense-weights.ts'
import { choosePacking } from './ternary-packing.ts'
import { loadTernaryMatrix } from './ternary-weights.ts'
import { WeightLoading, type WeightProgress } from './weight-loading.ts'
import { type LayerPlan, type MatrixPart, planWeights, type WeightPlan } from './weight-plan.ts'

export interface LoadedWeights extends DecoderWeights {
  /** Bytes in the packed ternary layout, scales included. */
  readonly ternaryBytes: number
  /** All other bytes: embedding, head, norms, projections of a dense model. */
  readonly denseBytes: number
  dispose(): void
}

export interface WeightOptions {
  /** Precision of embedding and head; see {@link tableType} for the default. */
  readonly head?: HeadType | undefined
  /** Layout of ternary weights in memory; unset: 'auto'. */
  readonly weights?: 'auto' | TernaryPacking | undefined
  readonly onProgress?: ((progress: WeightProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * @throws FormatError if a tensor is missing, of another shape or damaged, or the signal's reason;
 *   nothing stays allocated then
 */
export async function loadWeights(
  backend: Backend,
  file: ModelFile,
  config: ModelConfig,
  options: WeightOptions = {},
): Promise<LoadedWeights> {
  const plan = planWeights(file, config)
  const owner = new BufferOwner(backend)
  const { totalBytes } = plan
  const { signal, onProgress } = options
  const packing = await choosePacking(backend, options.weights ?? 'auto', ternaryWeights(plan))
  const loading = new WeightLoading({ file, owner, packing, totalBytes, signal, onProgress })
  const table = (part: MatrixPart, label: string) =>
    loadDenseMatrix(loading, [part], tableType(part, options.head), label)
  try {
    const embedding = await table(plan.embedding, 'embedding')
    const layers: LayerWeights[] = []
    for (const [i, layer] of plan.layers.entries()) {
      layers.push(await loadLayer(loading, config, layer, `layer ${i}`))
    }
    const finalNorm = await loadVector(loading, plan.finalNorm, normShift(config))
    const head = plan.head === undefined ? embedding : await table(plan.head, 'head')
    const ternaryBytes = layers.flatMap(matricesOf).reduce((sum, w) => sum + ternaryBytesOf(w), 0)
    const denseBytes = owner.byteLength - ternaryBytes
    const dispose = () => owner.dispose()
    return { embedding, layers, finalNorm, head, ternaryBytes, denseBytes, dispose }
  } catch (error) {
    await owner.disposeWhenIdle()
    throw error
  }
}

async function loadLayer(
  loading: WeightLoading,
  config: ModelConfig,
  plan: LayerPlan,
  label: string,
): Promise<LayerWeights> {
  const linear = async (parts: readonly MatrixPart[], name: string): Promise<LinearWeights> => {
    const matrixLabel = `${label} ${name}`
    if (config.linear === 'ternary') {
      return { kind: 'ternary', matrix: await loadTernaryMatrix(loading, parts, matrixLabel) }
    }
    const type = projectionType(parts)
    return { kind: 'dense', matrix: await loadDenseMatrix(loading, parts, type, matrixLabel) }
  }
  const { attentionSubNorm, ffnSubNorm, headNorms, attentionPostNorm, ffnPostNorm } = plan
  /** A norm of the body, which a file may hold as what is added to 1. */
  const norm = (tensor: TensorInfo) => loadVector(loading, tensor, normShift(config))
  const { qkvInputNorms, gateUpInputNorms } = plan
  return {
    attentionNorm: await norm(plan.attentionNorm),
    qkv: await linear(plan.qkv, 'qkv'),
    qkvInputs: qkvInputNorms && (await loadInputs(loading, plan.qkv, qkvInputNorms)),
    headNorms: headNorms && { query: await norm(headNorms[0]), key: await norm(headNorms[1]) },
    attentionSubNorm: attentionSubNorm && (await loadVector(loading, attentionSubNorm)),
    output: await linear(plan.output, 'output'),
    attentionPostNorm: attentionPostNorm && (await norm(attentionPostNorm)),
    ffnNorm: await norm(plan.ffnNorm),
    gateUp: await linear(plan.gateUp, 'gate and up'),
    gateUpInputs: gateUpInputNorms && (await loadInputs(loading, plan.gateUp, gateUpInputNorms)),
    ffnSubNorm: ffnSubNorm && (await loadVector(loading, ffnSubNorm)),
    down: await linear(plan.down, 'down'),
    ffnPostNorm: ffnPostNorm && (await norm(ffnPostNorm)),
  }
}

function normShift(config: ModelConfig): number {
  return config.shiftedNorms ? 1 : 0
}

/**
 * The norms of stacked parts, each with the rows that it is for.
 *
 * @throws FormatError if a part begins inside a stripe of 16 rows, where no product can
 */
async function loadInputs(
  loading: WeightLoading,
  parts: readonly MatrixPart[],
  norms: readonly TensorInfo[],
): Promise<PartInput[]> {
  const inputs: PartInput[] = []
  let first = 0
  for (const [i, { tensor, rows }] of parts.entries()) {
    if (first % TILE !== 0) {
      throw new FormatError(
        `Expected the rows before "${tensor.name}" to be a multiple of ${TILE}, as its input has a ` +
          `norm of its own, got ${first}. Models of this shape cannot be run.`,
        { field: tensor.name, path: tensor.source.name },
      )
    }
    const norm = await loadVector(loading, norms[i])
    inputs.push({ norm, part: { first, count: rows } })
    first += rows
  }
  return inputs
}

function ternaryWeights({ layers }: WeightPlan): number {
  const parts = layers.flatMap((l) => [...l.qkv, ...l.output, ...l.gateUp, ...l.down])
  return parts.reduce((sum, { rows, cols }) => sum + rows * cols, 0)
}

function matricesOf(layer: LayerWeights): LinearWeights[] {
  return [layer.qkv, layer.output, layer.gateUp, layer.down]
}

function ternaryBytesOf(weights: LinearWeights): number {
  if (weights.kind !== 'ternary') return 0
  return weights.matrix.data.byteLength + weights.matrix.scales.byteLength
}
