/**
 * The ternary matrices of a model file, and how their weights are spread over -1, 0 and +1.
 */
import type { GgufFile, SafetensorsFile, TensorInfo } from '../../../formats/model-file.ts'
import { openTernary } from '../../../formats/ternary/index.ts'
import type { ModelConfig } from '../../../model/config/config.ts'
import { partsOf } from '../../../model/layers.ts'
import { tensorOf } from '../../../model/weights/weight-plan.ts'

export interface LayerInspection {
  readonly layer: number
  readonly weights: number
  /** Shares of the layer's weights. */
  readonly minus: number
  readonly zero: number
  readonly plus: number
}

export interface CountedLayers {
  readonly layers: readonly LayerInspection[]
  /** How the codes came about, e.g. "I2_S"; more than one where tensors differ. */
  readonly origins: readonly string[]
  readonly lossless: boolean
}

/** Rows read at a time: a few stripes, so that buffers stay small for any number of columns. */
const ROWS_AT_ONCE = 64

/** The ternary tensors, by layer; none in a dense model. */
export function ternaryTensors(
  file: GgufFile | SafetensorsFile,
  config: ModelConfig,
): TensorInfo[][] {
  if (config.linear !== 'ternary') return []
  const layers: TensorInfo[][] = Array.from({ length: config.nLayers }, () => [])
  for (const part of partsOf(config)) {
    if (part.kind !== 'linear' || part.layer === undefined) continue
    const found = tensorOf(file, part)
    if (found !== undefined) layers[part.layer].push(found)
  }
  return layers
}

/**
 * Reads all ternary weights.
 *
 * @param layers as {@link ternaryTensors} gives them
 * @param onLayer told before the codes of each layer are counted
 */
export async function countLayers(
  file: GgufFile | SafetensorsFile,
  layers: readonly (readonly TensorInfo[])[],
  onLayer: (layer: number, count: number) => void,
): Promise<CountedLayers> {
  const counted: LayerInspection[] = []
  const origins = new Set<string>()
  let lossless = true
  for (const [layer, tensors] of layers.entries()) {
    onLayer(layer, layers.length)
    let minus = 0
    let plus = 0
    let weights = 0
    for (const tensor of tensors) {
      const codes = await openTernary(file, tensor, { rowScales: true })
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
    counted.push({ layer, weights, minus: minus / n, zero: 1 - (minus + plus) / n, plus: plus / n })
  }
  return { layers: counted, origins: [...origins], lossless }
}
