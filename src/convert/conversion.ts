/**
 * What a conversion is given and what it tells, whatever it writes.
 */
import type { GgufFile, SafetensorsFile, TokenizerFiles } from '../formats/model-file.ts'

/** The source of a conversion. */
export interface ConversionInput {
  readonly file: GgufFile | SafetensorsFile
  /** For safetensors: without tokenizer.json the result has no vocabulary. */
  readonly tokenizerFiles?: TokenizerFiles
  /** Files beside a safetensors source that go along unchanged into another safetensors folder. */
  readonly sideFiles?: readonly SideFile[]
}

/** A small file beside the weights. */
export interface SideFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** How far a conversion has come, told after each tensor. */
export interface ConversionProgress {
  readonly writtenBytes: number
  readonly totalBytes: number
  /** The tensor that was written, by its GGUF name. */
  readonly tensor: string
}

/** What all conversions take. */
export interface CommonOptions {
  /** Becomes the model's name where the format keeps one. Default: the source's. */
  readonly name?: string
  /** Convert a model that was not trained as ternary all the same; it will be of no use. */
  readonly force?: boolean
  readonly onProgress?: (progress: ConversionProgress) => void
  readonly signal?: AbortSignal
}

/** A tensor that is not what it was. */
export interface ConversionLoss {
  readonly tensor: string
  readonly from: string
  readonly to: string
  /** Root mean square of the change, relative to that of the values. */
  readonly relativeError: number
  /** Root mean square of the change. */
  readonly rmsError: number
  /** The largest change of one value. */
  readonly largestError: number
}

/** The tensors that were written in one type. */
export interface TypeSummary {
  readonly type: string
  readonly tensors: number
  readonly bytes: number
}

/** Ternary tensors of one place in the layers, all layers together. */
export interface TernarySummary {
  /** As in GGUF names: "attn_q", "ffn_down". */
  readonly kind: string
  readonly tensors: number
  readonly weights: number
  readonly zeroShare: number
  readonly scaleMin: number
  readonly scaleMax: number
}

/** Float weights that were quantised, as the model itself does on load. */
export interface QuantizationSummary {
  readonly tensors: number
  /** Root mean square of w - scale * code, relative to that of w: mean and largest of the tensors. */
  readonly meanError: number
  readonly largestError: number
}

/** What a conversion wrote, and what that lost. */
export interface ConversionReport {
  readonly format: 'gguf' | 'safetensors'
  readonly architecture: string
  readonly tensors: number
  readonly ternaryTensors: number
  readonly ternaryWeights: number
  /** Of the tensors in the source. */
  readonly bytesIn: number
  /** Of the whole result. */
  readonly bytesOut: number
  /** Share of ternary weights that are 0. */
  readonly zeroShare: number
  readonly scaleMin: number
  readonly scaleMax: number
  readonly types: readonly TypeSummary[]
  readonly kinds: readonly TernarySummary[]
  /** Ternary tensors that were quantised from float masters. */
  readonly quantizedTensors: number
  /** Undefined if none were. */
  readonly quantization: QuantizationSummary | undefined
  /** Tensors that rounding to their type changed; empty if all were taken over exactly. */
  readonly losses: readonly ConversionLoss[]
  /** Tensors of the source that the model does not use. */
  readonly leftOut: readonly string[]
}
