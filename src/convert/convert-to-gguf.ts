/**
 * Converts a ternary model to GGUF, from safetensors or from another GGUF: one pass over the source, a
 * few tensors in memory at a time. The result has the names, types and keys of the published BitNet
 * b1.58 2B-4T file; ternary codes are taken over as they are.
 */
import { ShapeError, UsageError } from '../errors.ts'
import type { ByteSink } from '../formats/byte-sink.ts'
import { type GgufTensorToWrite, writeGguf } from '../formats/gguf/index.ts'
import type { TernaryTensor } from '../formats/model-file.ts'
import { tensorByteLength } from '../formats/tensor-types.ts'
import { encodeTernary, storedScale } from '../formats/ternary/index.ts'
import { readConfig } from '../model/config/read-config.ts'
import type { CommonOptions, ConversionInput, ConversionReport } from './conversion.ts'
import {
  ggufArchitecture,
  metadataFromConfig,
  metadataFromGguf,
  type WeightStorage,
} from './gguf-metadata.ts'
import { type NamedTensor, nameTensors } from './named-tensors.ts'
import { ConversionTally } from './tally.ts'
import { countingZeros, denseStream, type StreamContext, withProgress } from './tensor-streams.ts'
import { ternaryIntake } from './ternary-intake.ts'

/** Types that a converted GGUF keeps its embedding in. */
export type GgufEmbedding = 'F16' | 'Q8_0' | 'Q6_K' | 'Q4_0'

export interface GgufConversionOptions extends CommonOptions {
  /**
   * Type of the ternary matrices. Default I2_S; TQ1_0 is the smallest (1.69 bits a weight), and the TQ
   * types keep scales in half precision only.
   */
  readonly weights?: WeightStorage
  /** Type of the embedding and of a separate head. Default F16. */
  readonly embedding?: GgufEmbedding
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
  options: GgufConversionOptions = {},
): Promise<ConversionReport> {
  const { file, tokenizerFiles = {} } = input
  const { weights = 'I2_S', embedding = 'F16', signal } = options
  const read = readConfig(file)
  const config = options.name === undefined ? read : { ...read, name: options.name }
  const named = nameTensors(file, config)
  const architecture = file.format === 'gguf' ? config.architecture : ggufArchitecture(config)
  const metadata =
    file.format === 'gguf'
      ? metadataFromGguf(file, config, weights)
      : metadataFromConfig(file, tokenizerFiles, config, weights)
  const tally = new ConversionTally()
  const linear = named.filter(({ kind }) => kind === 'linear')
  const open = ternaryIntake(linear, {
    file,
    config,
    order: architecture === 'llama' ? 'interleaved' : 'half',
    force: options.force === true,
  })
  const tensors = named.map((entry): GgufTensorToWrite => {
    if (entry.kind === 'linear') return ternaryTensor(entry, weights, { open, tally, signal })
    return denseTensor(entry, entry.kind === 'norm' ? 'F32' : embedding, { tally, signal })
  })
  const bytesOut = await writeGguf(sink, { metadata, tensors: withProgress(tensors, options) })
  return tally.report(file, named, { format: 'gguf', architecture, bytesOut })
}

function ternaryTensor(
  entry: NamedTensor,
  type: WeightStorage,
  {
    open,
    tally,
    signal,
  }: StreamContext & { readonly open: (entry: NamedTensor) => Promise<TernaryTensor> },
): GgufTensorToWrite {
  const { name, shape } = entry
  const byteLength = lengthOf(type, shape, name)
  async function* data() {
    const opened = await open(entry)
    const counts = { zeros: 0 }
    for await (const piece of encodeTernary(type, countingZeros(opened, counts))) {
      signal?.throwIfAborted()
      yield piece
    }
    tally.wrote(type, byteLength)
    const stored = storedScale(type, opened.scale)
    await tally.ternary(entry, opened, { zeros: counts.zeros, stored, to: type })
  }
  return { name, type, shape, byteLength, data }
}

function denseTensor(
  entry: NamedTensor,
  type: 'F32' | GgufEmbedding,
  context: StreamContext,
): GgufTensorToWrite {
  const { name, shape } = entry
  const byteLength = lengthOf(type, shape, name)
  const data = () => denseStream(entry, type, 0, context)
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
