/**
 * Everything `bitnet inspect` tells about a model file, as data. Only the header, the small tensors
 * and the ternary codes are read; nothing is loaded for running.
 */
import { FormatError } from '../errors.ts'
import type { GgufFile, ModelFile, SafetensorsFile, TensorInfo } from '../formats/model-file.ts'
import { elementCount } from '../formats/tensor-types.ts'
import { openTernary } from '../formats/ternary/index.ts'
import type { CacheType } from '../kernels/commands.ts'
import type { ModelConfig } from '../model/config.ts'
import { configToRun } from '../model/config-to-run.ts'
import { cacheBytesPerToken } from '../model/kv-cache.ts'
import { type LayerMatrix, layerTensorNames } from '../model/tensor-names.ts'
import { packedByteLength, padToTile } from '../ternary/index.ts'

export interface CodeShares {
  readonly minus: number
  readonly zero: number
  readonly plus: number
}

export interface LayerInspection extends CodeShares {
  readonly layer: number
  readonly weights: number
}

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
  /** How the codes came about, e.g. "I2_S"; more than one where tensors differ. */
  readonly origins: readonly string[]
  readonly lossless: boolean
  readonly layers: readonly LayerInspection[]
  readonly tensors: readonly TensorInspection[]
  readonly memory: MemoryNeed | null
}

export interface MemoryNeed {
  /** Ternary weights in the packed layout, with a scale a row. */
  readonly ternaryBytes: number
  /** Embedding, head and norms, with the table at 16 and at 8 bits. */
  readonly denseBytes: { readonly f16: number; readonly int8: number }
  readonly kv: CacheType
  readonly cacheBytesPerToken: number
  readonly cacheBytesAtFullContext: number
}

const MATRICES: readonly LayerMatrix[] = ['query', 'key', 'value', 'output', 'gate', 'up', 'down']

/** Rows read at a time: a few stripes, so that buffers stay small for any number of columns. */
const ROWS_AT_ONCE = 64

/**
 * @param onLayer told before the codes of each layer are counted
 * @param kv how keys and values would be held
 */
export async function inspectModel(
  file: GgufFile | SafetensorsFile,
  onLayer: (layer: number, count: number) => void,
  kv: CacheType = 'f16',
): Promise<ModelInspection> {
  const { config, problem } = await tryReadConfig(file)
  const counted =
    config?.linear === 'ternary'
      ? await countLayers(file, config, onLayer)
      : { layers: [], names: new Set<string>(), origins: [], lossless: true }
  let ternary = 0
  let ternaryFileBytes = 0
  let other = 0
  let tensorBytes = 0
  for (const tensor of file.tensors.values()) {
    tensorBytes += tensor.byteLength
    if (counted.names.has(tensor.name)) {
      ternary += parameterCount(tensor)
      ternaryFileBytes += tensor.byteLength
    } else if (!isScale(tensor)) other += parameterCount(tensor)
  }
  const total = ternary + other
  return {
    name: file.name,
    format: file.format,
    config: config ?? null,
    ...(problem === undefined ? {} : { problem }),
    parameters: { total, ternary, other },
    tensorBytes,
    bitsPerWeight: (8 * tensorBytes) / Math.max(total, 1),
    ternaryBitsPerWeight: (8 * ternaryFileBytes) / Math.max(ternary, 1),
    origins: counted.origins,
    lossless: counted.lossless,
    layers: counted.layers,
    tensors: [...file.tensors.values()].map(({ name, type, shape, byteLength }) => ({
      name,
      type,
      shape,
      bytes: byteLength,
    })),
    memory: config === undefined ? null : memoryNeed(config, kv),
  }
}

async function tryReadConfig(file: GgufFile | SafetensorsFile): Promise<{
  config?: ModelConfig
  problem?: string
}> {
  try {
    return { config: await configToRun(file) }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    return { problem: error.message }
  }
}

async function countLayers(
  file: GgufFile | SafetensorsFile,
  config: ModelConfig,
  onLayer: (layer: number, count: number) => void,
): Promise<{
  layers: LayerInspection[]
  names: Set<string>
  origins: string[]
  lossless: boolean
}> {
  const layers: LayerInspection[] = []
  const names = new Set<string>()
  const origins = new Set<string>()
  let lossless = true
  for (let layer = 0; layer < config.nLayers; layer++) {
    onLayer(layer, config.nLayers)
    let minus = 0
    let plus = 0
    let weights = 0
    for (const matrix of MATRICES) {
      const tensor = layerTensorNames(file.format, layer, matrix)
        .map((name) => file.tensors.get(name))
        .find((found) => found !== undefined)
      if (tensor === undefined) continue
      const codes = await openTernary(file, tensor, { rowScales: true })
      names.add(tensor.name)
      origins.add(codes.origin)
      lossless &&= codes.lossless
      const out = new Int8Array(ROWS_AT_ONCE * codes.cols)
      for (let row = 0; row < codes.rows; row += ROWS_AT_ONCE) {
        const count = Math.min(ROWS_AT_ONCE, codes.rows - row)
        await codes.readCodes(row, count, out)
        for (let i = 0; i < count * codes.cols; i++) {
          minus += out[i] >>> 31
          plus += -out[i] >>> 31
        }
      }
      weights += codes.rows * codes.cols
    }
    const n = Math.max(weights, 1)
    layers.push({ layer, weights, minus: minus / n, zero: 1 - (minus + plus) / n, plus: plus / n })
  }
  return { layers, names, origins: [...origins], lossless }
}

/** Packed ternary bytes hold four weights each. */
function parameterCount(tensor: TensorInfo): number {
  return elementCount(tensor.shape) * (tensor.type === 'U8' ? 4 : 1)
}

/** Factors of quantisation are no parameters of the model. */
function isScale({ name }: TensorInfo): boolean {
  return name.endsWith('.weight_scale') || name.endsWith('.scale')
}

function memoryNeed(config: ModelConfig, kv: CacheType): MemoryNeed {
  const { dim, ffnDim, headDim, nHeads, nKvHeads, nLayers, vocabSize, contextLength } = config
  const shapes = [
    [(nHeads + 2 * nKvHeads) * headDim, dim],
    [dim, nHeads * headDim],
    [2 * ffnDim, dim],
    [dim, ffnDim],
  ] as const
  const packed = shapes.reduce(
    (sum, [rows, cols]) => sum + packedByteLength(rows, cols) + 4 * padToTile(rows),
    0,
  )
  const elements = shapes.reduce((sum, [rows, cols]) => sum + rows * cols, 0)
  const isTernary = config.linear === 'ternary'
  const layerNorms =
    (config.postNorms ? 4 : 2) * dim +
    (config.subNorms ? nHeads * headDim + ffnDim : 0) +
    (config.inputNorms ? 5 * dim : 0) +
    (config.headNorms ? 2 * headDim : 0)
  const norms = 4 * (nLayers * layerNorms + dim)
  const tables = config.tiedHead ? 1 : 2
  // Dense linear layers stay at 16 bits, whatever the head's precision.
  const linear = isTernary ? 0 : 2 * nLayers * elements
  const perToken = cacheBytesPerToken(config, kv)
  return {
    ternaryBytes: isTernary ? nLayers * packed : 0,
    denseBytes: {
      f16: norms + linear + tables * 2 * vocabSize * dim,
      int8: norms + linear + tables * vocabSize * (dim + 4),
    },
    kv,
    cacheBytesPerToken: perToken,
    cacheBytesAtFullContext: perToken * padToTile(contextLength),
  }
}
