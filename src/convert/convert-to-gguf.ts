/**
 * Converts a ternary model to GGUF, from safetensors or from another GGUF: one pass over the source, a
 * few rows of one tensor in memory at a time. The result has the names, types and keys of the published
 * BitNet b1.58 2B-4T file; ternary codes are taken over as they are.
 */
import { ShapeError, UsageError } from '../errors.ts'
import type { ByteSink } from '../formats/byte-sink.ts'
import type { EncodableType } from '../formats/dense-codecs.ts'
import { type GgufTensorToWrite, writeGguf } from '../formats/gguf/index.ts'
import { LossMeter } from '../formats/loss-meter.ts'
import type { GgufFile, SafetensorsFile, TokenizerFiles } from '../formats/model-file.ts'
import { tensorByteLength } from '../formats/tensor-types.ts'
import { encodeTernary, openTernary, storedScale } from '../formats/ternary/index.ts'
import type { ModelConfig } from '../model/config.ts'
import { readConfig } from '../model/read-config.ts'
import {
  ggufArchitecture,
  metadataFromConfig,
  metadataFromGguf,
  type WeightStorage,
} from './gguf-metadata.ts'
import { interleavedRows } from './head-order.ts'
import { type NamedTensor, nameTensors } from './named-tensors.ts'
import { countingZeros, denseStream } from './tensor-streams.ts'

export interface ConversionInput {
  readonly file: GgufFile | SafetensorsFile
  /** For safetensors: without tokenizer.json the result has no vocabulary. */
  readonly tokenizerFiles?: TokenizerFiles
}

export interface ConversionProgress {
  readonly writtenBytes: number
  readonly totalBytes: number
  /** The tensor that was written, by its GGUF name. */
  readonly tensor: string
}

export interface ConversionOptions {
  /**
   * Type of the ternary matrices. Default I2_S; TQ1_0 is the smallest (1.69 bits a weight), and the TQ
   * types keep scales in half precision only.
   */
  readonly weights?: WeightStorage
  /** Type of the embedding and of a separate head. Default F16. */
  readonly embedding?: 'F16' | 'Q8_0' | 'Q6_K'
  /** Becomes `general.name`. Default: the source's name. */
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
}

export interface ConversionReport {
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
  /** Ternary tensors that were quantised from float masters, as the model itself does on load. */
  readonly quantizedTensors: number
  /** Tensors that rounding changed; empty if the conversion is lossless. */
  readonly losses: readonly ConversionLoss[]
  /** Tensors of the source that the model does not use. */
  readonly leftOut: readonly string[]
}

/** What is gathered while tensors pass by. */
interface Tally {
  zeros: number
  weights: number
  ternary: number
  quantized: number
  scaleMin: number
  scaleMax: number
  losses: ConversionLoss[]
}

/**
 * @throws UsageError for a model that does not declare ternary training, unless `force`, and for types
 *   that cannot hold the model's shapes or values
 * @throws FormatError if the source is damaged, incomplete or of a family that is not supported; the
 *   signal's reason when aborted. What was written by then is of no use.
 */
export async function convertToGguf(
  input: ConversionInput,
  sink: ByteSink,
  options: ConversionOptions = {},
): Promise<ConversionReport> {
  const { file, tokenizerFiles = {} } = input
  const { weights = 'I2_S', embedding = 'F16' } = options
  const config = withName(readConfig(file), options.name)
  const named = nameTensors(file, config)
  const architecture = file.format === 'gguf' ? config.architecture : ggufArchitecture(config)
  const metadata =
    file.format === 'gguf'
      ? metadataFromGguf(file, config, weights)
      : metadataFromConfig(file, tokenizerFiles, config, weights)
  const tally: Tally = {
    zeros: 0,
    weights: 0,
    ternary: 0,
    quantized: 0,
    scaleMin: Number.POSITIVE_INFINITY,
    scaleMax: 0,
    losses: [],
  }
  const interleave = architecture === 'llama' && file.format === 'safetensors'
  const tensors = named.map((entry): GgufTensorToWrite => {
    if (entry.kind === 'linear') {
      const headDim = interleave && entry.isRotated ? config.headDim : 0
      return ternaryTensor(input, config, entry, weights, { ...options, headDim, tally })
    }
    return denseTensor(entry, entry.kind === 'norm' ? 'F32' : embedding, options.signal, tally)
  })
  const bytesOut = await writeGguf(sink, { metadata, tensors: withProgress(tensors, options) })
  const used = new Set(named.map(({ tensor }) => tensor.name))
  return {
    architecture,
    tensors: tensors.length,
    ternaryTensors: tally.ternary,
    ternaryWeights: tally.weights,
    bytesIn: named.reduce((sum, { tensor }) => sum + tensor.byteLength, 0),
    bytesOut,
    zeroShare: tally.zeros / tally.weights,
    scaleMin: tally.scaleMin,
    scaleMax: tally.scaleMax,
    quantizedTensors: tally.quantized,
    losses: tally.losses,
    leftOut: [...file.tensors.keys()].filter((name) => !used.has(name) && !isScale(name)),
  }
}

function withName(config: ModelConfig, name: string | undefined): ModelConfig {
  return name === undefined ? config : { ...config, name }
}

/** A scale goes into the tensor it belongs to. */
function isScale(name: string): boolean {
  return name.endsWith('.weight_scale') || name.endsWith('.scale')
}

function ternaryTensor(
  { file }: ConversionInput,
  config: ModelConfig,
  { name, tensor, shape }: NamedTensor,
  type: WeightStorage,
  context: { headDim: number; tally: Tally; force?: boolean; signal?: AbortSignal },
): GgufTensorToWrite {
  const { tally, headDim, signal } = context
  const byteLength = lengthOf(type, shape, name)
  async function* data() {
    const opened = await openTernary(file, tensor, { rows: shape[0] })
    if (config.linear !== 'ternary' && !opened.lossless && context.force !== true) {
      throw new UsageError(
        `Expected a model that was trained with ternary weights, but ${file.name} does not say so ` +
          'and its weights are not ternary. Rounding an ordinary model destroys it: the result ' +
          'would write noise. Use a ternary model, or force the conversion to see for yourself.',
      )
    }
    const counts = { zeros: 0 }
    const counted = countingZeros(opened, counts)
    const ordered = headDim > 0 ? interleavedRows(counted, headDim) : counted
    for await (const piece of encodeTernary(type, ordered)) {
      signal?.throwIfAborted()
      yield piece
    }
    const stored = storedScale(type, opened.scale)
    tally.ternary++
    tally.zeros += counts.zeros
    tally.weights += opened.rows * opened.cols
    if (!opened.lossless) tally.quantized++
    tally.scaleMin = Math.min(tally.scaleMin, stored)
    tally.scaleMax = Math.max(tally.scaleMax, stored)
    if (stored !== opened.scale) {
      const relativeError = Math.abs(stored - opened.scale) / opened.scale
      tally.losses.push({ tensor: name, from: opened.origin, to: type, relativeError })
    }
  }
  return { name, type, shape, byteLength, data }
}

function denseTensor(
  { name, tensor, shape }: NamedTensor,
  type: EncodableType & ('F32' | 'F16' | 'Q8_0' | 'Q6_K'),
  signal: AbortSignal | undefined,
  tally: Tally,
): GgufTensorToWrite {
  const byteLength = lengthOf(type, shape, name)
  async function* data() {
    const loss = new LossMeter()
    for await (const piece of denseStream(tensor, type, loss)) {
      signal?.throwIfAborted()
      yield piece
    }
    const { relativeError } = loss
    if (relativeError > 0) {
      tally.losses.push({ tensor: name, from: tensor.type, to: type, relativeError })
    }
  }
  return { name, type, shape, byteLength, data }
}

function lengthOf(type: GgufTensorToWrite['type'], shape: readonly number[], name: string): number {
  try {
    return tensorByteLength(type, shape)
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error
    throw new UsageError(`Cannot store "${name}" as ${type}: ${error.message} Choose another type.`)
  }
}

/** The same tensors; each reports when all its bytes have been taken. */
function withProgress(
  tensors: readonly GgufTensorToWrite[],
  { onProgress, signal }: ConversionOptions,
): GgufTensorToWrite[] {
  const totalBytes = tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0)
  let writtenBytes = 0
  return tensors.map((tensor) => ({
    ...tensor,
    async *data() {
      signal?.throwIfAborted()
      yield* tensor.data()
      writtenBytes += tensor.byteLength
      onProgress?.({ writtenBytes, totalBytes, tensor: tensor.name })
    },
  }))
}
