/**
 * Loads a decoder's weights from a file into a backend's memory, one tensor after another: peak memory
 * is the packed weights plus one chunk of rows.
 */

import type { Backend } from '../../backends/backend.ts'
import { FormatError } from '../../errors.ts'
import type { ModelFile, TensorInfo } from '../../formats/model-file.ts'
import type { TernaryPacking } from '../../kernels/storage.ts'
import { TILE } from '../../ternary/index.ts'
import { BufferOwner } from '../buffer-owner.ts'
import type { ModelConfig } from '../config/config.ts'
import type { DecoderWeights } from '../forward.ts'
import { checkHeadCopy } from './account.ts'
import { buildWeightsInTurn } from './build-weights.ts'
import { type HeadType, loadDenseMatrix, loadVector } from './dense-weights.ts'
import { leavesZerosOut, type SparseChoice } from './ffn-order.ts'
import { choosePacking } from './ternary-packing.ts'
import { loadTernaryMatrix } from './ternary-weights.ts'
import type { WeightLoading, WeightProgress } from './weight-loading.ts'
import { formsInFile, weightBytes } from './weight-memory.ts'
import { type MatrixPart, planWeights } from './weight-plan.ts'

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
  /** Whether the feed-forward leaves out what is 0; unset: 'auto'. */
  readonly sparse?: SparseChoice | undefined
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
  const isSparse = leavesZerosOut(backend, config, options.sparse ?? 'auto')
  const plan = planWeights(file, config)
  await checkHeadCopy(file, config, plan)
  const weightCount = plan.reduce((n, p) => n + (p.kind === 'linear' ? p.rows * p.cols : 0), 0)
  const packing = await choosePacking(backend, options.weights ?? 'auto', weightCount)
  const owner = new BufferOwner(backend)
  const totalBytes = plan.reduce((sum, { tensor }) => sum + tensor.byteLength, 0)
  const { signal, onProgress } = options
  let loadedBytes = 0
  const report = ({ byteLength, name: tensor }: TensorInfo) => {
    loadedBytes += byteLength
    onProgress?.({ loadedBytes, totalBytes, tensor })
  }
  const loading: WeightLoading = { file, owner, signal, report }
  try {
    const weights = await buildWeightsInTurn(
      plan,
      formsInFile(config, options.head, packing, isSparse),
      {
        dense: (parts, type, label) => loadDenseMatrix(loading, parts, type, label),
        ternary: (parts, form, label) => {
          if (config.inputNorms) checkStripes(parts)
          return loadTernaryMatrix(loading, parts, form, label)
        },
        norm: ({ tensor, canShift }) =>
          loadVector(loading, tensor, canShift && config.shiftedNorms ? 1 : 0),
      },
    )
    await backend.ready()
    const { ternaryBytes, denseBytes } = weightBytes(weights)
    // Bound: a function of this place would keep the file's header for as long as the weights live.
    return { ...weights, ternaryBytes, denseBytes, dispose: owner.dispose.bind(owner) }
  } catch (error) {
    owner.dispose()
    throw error
  }
}

/**
 * Where each of stacked matrices has a norm of its own, products are of a part of their rows.
 *
 * @throws FormatError if a part begins inside a stripe of 16 rows, where no product can
 */
function checkStripes(stack: readonly MatrixPart[]): void {
  let first = 0
  for (const { tensor, rows } of stack) {
    if (first % TILE !== 0) {
      throw new FormatError(
        `Expected the rows before "${tensor.name}" to be a multiple of ${TILE}, as its input has a ` +
          `norm of its own, got ${first}. Models of this shape cannot be run.`,
        { field: tensor.name, path: tensor.source.name },
      )
    }
    first += rows
  }
}
