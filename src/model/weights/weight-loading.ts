/**
 * What one loading of weights shares: where buffers go, how far it is, and whether to go on.
 */
import type { ModelFile, TensorInfo } from '../../formats/model-file.ts'
import { padToTile, TILE } from '../../ternary/index.ts'
import type { BufferOwner } from '../buffer-owner.ts'

/** How far loading is, after each tensor. */
export interface WeightProgress {
  readonly loadedBytes: number
  readonly totalBytes: number
  /** The tensor that was loaded. */
  readonly tensor: string
}

/** Elements decoded at a time: 2 MB of I2_S, 16 MB of halves. Smaller pieces wake the threads too often. */
const CHUNK_ELEMENTS = 1 << 23

export class WeightLoading {
  readonly file: ModelFile
  readonly owner: BufferOwner
  readonly signal: AbortSignal | undefined
  readonly #onProgress: ((progress: WeightProgress) => void) | undefined
  readonly #totalBytes: number
  #loadedBytes = 0

  constructor(facts: {
    file: ModelFile
    owner: BufferOwner
    totalBytes: number
    signal?: AbortSignal | undefined
    onProgress?: ((progress: WeightProgress) => void) | undefined
  }) {
    this.file = facts.file
    this.owner = facts.owner
    this.signal = facts.signal
    this.#onProgress = facts.onProgress
    this.#totalBytes = facts.totalBytes
  }

  /** Says that a tensor is in memory. */
  report(tensor: TensorInfo): void {
    this.#loadedBytes += tensor.byteLength
    this.#onProgress?.({
      loadedBytes: this.#loadedBytes,
      totalBytes: this.#totalBytes,
      tensor: tensor.name,
    })
  }
}

/** Rows to decode at a time: whole stripes, and whole heads where rows are reordered within them. */
export function chunkRows(rows: number, cols: number, headDim: number): number {
  const unit = headDim > 0 ? headDim : TILE
  const wanted = Math.max(1, Math.floor(CHUNK_ELEMENTS / (cols * unit))) * unit
  return Math.min(wanted, headDim > 0 ? rows : padToTile(rows))
}

/**
 * All rows, as many at a time as {@link chunkRows} says.
 *
 * @throws the signal's reason
 */
export function* rowChunks(
  rows: number,
  cols: number,
  headDim: number,
  signal: AbortSignal | undefined,
): Generator<{ row: number; count: number }> {
  const step = chunkRows(rows, cols, headDim)
  for (let row = 0; row < rows; row += step) {
    signal?.throwIfAborted()
    yield { row, count: Math.min(step, rows - row) }
  }
}
