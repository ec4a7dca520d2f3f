/**
 * Packed ternary weights of Hugging Face checkpoints (transformers, integrations/bitnet.py): U8 of
 * (ceil(rows / 4), cols). With R byte rows, logical row i R + j lies in byte row j, bits 2i+1..2i, as
 * w + 1: the four quarters of the rows are stacked as bit planes.
 *
 * `weight_scale` has two opposite meanings. With linear_class "autobitlinear" the product is
 * multiplied by it; with "bitlinear" or no linear_class it is divided by it.
 */
import { isObject, type JsonObject } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { decodeDense, isDense } from '../dense-codecs.ts'
import type { ModelFile, SafetensorsFile, TensorInfo } from '../model-file.ts'
import type { CodeReader } from './block-readers.ts'
import { unpackPlane } from './code-words.ts'
import { ReadWindow } from './read-window.ts'
import { illegalCode } from './tensor-damage.ts'

/** What `weight_scale` does to a product. */
export type ScaleConvention = 'multiply' | 'divide'

/** Up to this size a tensor stays in memory while it is read, since each plane needs all of it. */
const KEPT_BYTES = 64 << 20

/** What a checkpoint's config.json says about its quantisation; nothing for GGUF. */
export function quantizationOf(file: ModelFile | SafetensorsFile): JsonObject {
  const quantization = 'config' in file ? file.config['quantization_config'] : undefined
  return isObject(quantization) ? quantization : {}
}

/** What a file says about `weight_scale`. */
export function scaleConventionOf(file: ModelFile): ScaleConvention {
  return quantizationOf(file)['linear_class'] === 'autobitlinear' ? 'multiply' : 'divide'
}

/** @param rows logical rows, which may be up to three fewer than the bytes hold */
export function openPacked(tensor: TensorInfo, rows: number, scale: number): CodeReader {
  const [byteRows, cols] = tensor.shape
  const window = new ReadWindow(tensor, Math.min(tensor.byteLength, KEPT_BYTES))
  return {
    scale,
    async readCodes(row, count, out) {
      const end = row + count
      if (end > rows) throw new Error(`row ${end} of ${rows}`)
      for (let at = row; at < end; ) {
        const plane = Math.floor(at / byteRows)
        const stop = Math.min(end, (plane + 1) * byteRows)
        const length = (stop - at) * cols
        const bytes = await window.bytes((at - plane * byteRows) * cols, length)
        const target = out.subarray((at - row) * cols, (at - row) * cols + length)
        if (unpackPlane(target, bytes, 2 * plane)) {
          throw illegalCode(tensor, 'packed ternary weights')
        }
        at = stop
      }
    },
  }
}

/** The stored `weight_scale` of a packed tensor, by the name that goes with it. */
export async function readWeightScale(file: ModelFile, tensor: TensorInfo): Promise<number> {
  const name = `${tensor.name}_scale`
  const scale = file.tensors.get(name)
  if (scale === undefined) {
    throw new FormatError(
      `Expected "${name}" beside the packed tensor "${tensor.name}" in ${file.name}, found none.`,
      { field: name, path: file.name },
    )
  }
  return readSingle(scale)
}

/** The only element of a tensor. */
export async function readSingle(tensor: TensorInfo): Promise<number> {
  const count = tensor.shape.reduce((product, n) => product * n, 1)
  if (count !== 1 || !isDense(tensor.type) || tensor.byteLength > 8) {
    throw new FormatError(
      `Expected one number in tensor "${tensor.name}", got ${tensor.type} of [${tensor.shape}].`,
      { field: tensor.name, path: tensor.source.name },
    )
  }
  const bytes = await tensor.source.read(tensor.offset, tensor.byteLength)
  // A scale that divides may need more digits than a float32 has (see weight-scale.ts).
  if (tensor.type === 'F64') return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true)
  const out = new Float32Array(1)
  decodeDense(tensor.type, bytes, out)
  return out[0]
}
