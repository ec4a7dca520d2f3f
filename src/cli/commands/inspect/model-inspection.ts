/**
 * Everything `bitnet inspect` tells about a model file, as data. Only the header is read,
 * and the ternary codes where they are to be counted; nothing is loaded for running.
 */
import { FormatError } from '../../../errors.ts'
import type {
  GgufFile,
  ModelFile,
  SafetensorsFile,
  TensorInfo,
} from '../../../formats/model-file.ts'
import { elementCount } from '../../../formats/tensor-types.ts'
import type { ModelConfig } from '../../../model/config/config.ts'
import { configToRun } from '../../../model/config/read-config.ts'
import { countLayers, type LayerInspection, ternaryTensors } from './layer-inspection.ts'
import { type MemoryNeed, type MemoryOptions, memoryNeed } from './memory-need.ts'

export interface TensorInspection {
  readonly name: string
  readonly type: string
  readonly shape: readonly number[]
  readonly bytes: number
}

export interface ModelInspection {
  readonly name: string
  readonly format: ModelFile['format']
  readonly config: ModelConfig | null
  /** Why the model cannot be run, where it cannot. */
  readonly problem?: string
  readonly parameters: { readonly total: number; readonly ternary: number; readonly other: number }
  readonly tensorBytes: number
  /** Of the file, over all parameters. */
  readonly bitsPerWeight: number
  /** Of the file, over the ternary parameters alone. */
  readonly ternaryBitsPerWeight: number
  /** How the codes came about, e.g. "I2_S"; the tensors' types where the weights were not read. */
  readonly origins: readonly string[]
  /** Null where the weights were not read. */
  readonly lossless: boolean | null
  /** Empty where the weights were not read. */
  readonly layers: readonly LayerInspection[]
  readonly tensors: readonly TensorInspection[]
  readonly memory: MemoryNeed | null
}

export interface InspectOptions extends MemoryOptions {
  /** Reads and counts all ternary weights, and is told before each layer; unset: they are not read. */
  readonly onLayer?: (layer: number, count: number) => void
}

export async function inspectModel(
  file: GgufFile | SafetensorsFile,
  { onLayer, ...options }: InspectOptions = {},
): Promise<ModelInspection> {
  const { config, memory, problem } = await tryToPlan(file, options)
  const byLayer = config === null ? [] : ternaryTensors(file, config)
  const ternaryOnes = new Set(byLayer.flat())
  const counted =
    onLayer === undefined
      ? { layers: [], origins: [...new Set([...ternaryOnes].map(({ type }) => type))] }
      : await countLayers(file, byLayer, onLayer)
  let ternary = 0
  let ternaryFileBytes = 0
  let other = 0
  let tensorBytes = 0
  for (const tensor of file.tensors.values()) {
    tensorBytes += tensor.byteLength
    if (ternaryOnes.has(tensor)) {
      ternary += parameterCount(tensor)
      ternaryFileBytes += tensor.byteLength
    } else if (!isScale(tensor)) other += parameterCount(tensor)
  }
  const total = ternary + other
  return {
    name: file.name,
    format: file.format,
    config,
    ...(problem === undefined ? {} : { problem }),
    parameters: { total, ternary, other },
    tensorBytes,
    bitsPerWeight: (8 * tensorBytes) / Math.max(total, 1),
    ternaryBitsPerWeight: (8 * ternaryFileBytes) / Math.max(ternary, 1),
    lossless: null,
    ...counted,
    tensors: [...file.tensors.values()].map(({ name, type, shape, byteLength }) => ({
      name,
      type,
      shape,
      bytes: byteLength,
    })),
    memory,
  }
}

/** A file that cannot be run still has tensors to show. */
async function tryToPlan(
  file: GgufFile | SafetensorsFile,
  options: MemoryOptions,
): Promise<Pick<ModelInspection, 'config' | 'memory' | 'problem'>> {
  let config: ModelConfig | null = null
  try {
    config = await configToRun(file)
    return { config, memory: memoryNeed(file, config, options) }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    return { config, memory: null, problem: error.message }
  }
}

/** Packed ternary bytes hold four weights each. */
function parameterCount(tensor: TensorInfo): number {
  return elementCount(tensor.shape) * (tensor.type === 'U8' ? 4 : 1)
}

/** Factors of quantisation are no parameters of the model. */
function isScale({ name }: TensorInfo): boolean {
  return name.endsWith('.weight_scale') || name.endsWith('.scale')
}
