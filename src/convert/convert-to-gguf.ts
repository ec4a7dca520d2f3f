/**
 * Converts a ternary model to GGUF, from safetensors or from another GGUF: one pass over the source, a
 * few tensors in memory at a time. The result has the names, types and keys of the published BitNet
 * b1.58 2B-4T file; ternary codes are taken over as they are.
 */
import { UsageError } from '../errors.ts'
import type { ByteSink } from '../formats/byte-sink.ts'
import { type GgufTensorToWrite, writeGguf } from '../formats/gguf/index.ts'
import type { TernaryTensor } from '../formats/model-file.ts'
import { lengthOf } from '../formats/tensor-types.ts'
import { encodeTernary, storedScale } from '../formats/ternary/index.ts'
import { readConfig } from '../model/config/read-config.ts'
import type { CommonOptions, ConversionInput, ConversionReport } from './conversion.ts'
import { byGgufName, stackedTensors } from './expert-tensors.ts'
import {
  ggufArchitecture,
  metadataFromConfig,
  metadataFromGguf,
  type WeightStorage,
} from './gguf-metadata.ts'
import { nameTensors } from './named-tensors.ts'
import { ConversionTally } from './tally.ts'
import { denseStream, ternaryStream, withProgress } from './tensor-streams.ts'
import { ternaryIntake } from './ternary-intake.ts'

/** Types that a converted GGUF keeps its embedding in. */
export const GGUF_EMBEDDINGS = ['F16', 'Q8_0', 'Q6_K', 'Q4_0'] as const
export type GgufEmbedding = (typeof GGUF_EMBEDDINGS)[number]

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
  const { named, leftOut } = await nameTensors(file, config)
  const architecture = file.format === 'gguf' ? config.architecture : ggufArchitecture(config)
  const metadata =
    file.format === 'gguf'
      ? metadataFromGguf(file, config, weights)
      : metadataFromConfig(file, tokenizerFiles, config, weights)
  const tally = new ConversionTally()
  const ternary = {
    type: weights,
    encode: (tensor: TernaryTensor) => encodeTernary(weights, tensor),
    storedScale: (scale: number) => storedScale(weights, scale),
  }
  const groups = byGgufName(named)
  const linear = groups.flat().filter(({ kind }) => kind === 'linear')
  const open = ternaryIntake(linear, {
    file,
    config,
    order: architecture === 'llama' ? 'interleaved' : 'half',
    force: options.force === true,
  })
  const context = { open, tally, signal }
  const tensors = groups.flatMap((group): GgufTensorToWrite[] => {
    const [entry] = group
    const { name, shape, kind, expert } = entry
    const dense = kind === 'table' ? embedding : 'F32'
    const type = kind === 'linear' ? weights : dense
    const bytesOf = (whole: readonly number[]) =>
      lengthOf(type, whole, (why) => {
        return new UsageError(`Cannot store "${name}" as ${type}: ${why} Choose another type.`)
      })
    if (expert !== undefined) return stackedTensors(group, weights, bytesOf, context)
    const data = () =>
      kind === 'linear'
        ? ternaryStream(entry, ternary, context)
        : denseStream(entry, dense, 0, context)
    return [{ name, type, shape, byteLength: bytesOf(shape), data }]
  })
  const bytesOut = await writeGguf(sink, { metadata, tensors: withProgress(tensors, options) })
  return tally.report(leftOut, named, { format: 'gguf', architecture, bytesOut })
}
