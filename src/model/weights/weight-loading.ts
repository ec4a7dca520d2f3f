import type { ModelFile, TensorInfo } from '../../formats/model-file.ts'
import type { BufferOwner } from '../buffer-owner.ts'

/** How far loading is, after each tensor. */
export interface WeightProgress {
  readonly loadedBytes: number
  readonly totalBytes: number
  /** The tensor that was loaded. */
  readonly tensor: string
}

/** What one loading of weights shares: where buffers go, how far it is, and whether to go on. */
export interface WeightLoading {
  readonly file: ModelFile
  readonly owner: BufferOwner
  readonly signal: AbortSignal | undefined
  /** Says that a tensor is in memory. */
  readonly report: (tensor: TensorInfo) => void
}
