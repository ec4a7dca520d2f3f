/**
 * Packed ternary weights of Hugging Face checkpoints, read and written (transformers,
 * integrations/bitnet.py): U8 of
 * (ceil(rows / 4), cols). With R byte rows, logical row i R + j lies in byte row j, bits 2i+1..2i, as
 * w + 1: the four quarters of the rows are stacked as bit planes.
 *
 * `weight_scale` has two opposite meanings. With linear_class "autobitlinear" the product is
 * multiplied by it; with "bitlinear" or no linear_class it is divided by it. We write it in the narrowest
 * float type that gives our float32 scale back bit for bit. Where it multiplies, float32 always does.
 * Where it divides, the scale is a reciprocal, and for about a sixth of all float32 scales no float32 has
 * exactly this reciprocal; float64 has.
 */
import { isObject, type JsonObject } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { decodeDense, encodeDense, isDense } from '../dense-codecs.ts'
import type {
  MatrixOfStack,
  ModelFile,
  SafetensorsFile,
  TensorInfo,
  TernaryTensor,
} from '../model-file.ts'
import { elementCount } from '../tensor-types.ts'
import type { CodeReader } from './block-readers.ts'
import { unpackPlane, weightsToCodes } from './code-words.ts'
import { ReadWindow } from './read-window.ts'
import { illegalCode, tensorError } from './tensor-damage.ts'

/** What `weight_scale` does to a product. */
export const SCALE_CONVENTIONS = ['multiply', 'divide'] as const
export type ScaleConvention = (typeof SCALE_CONVENTIONS)[number]

/** Up to this size a tensor stays in memory while it is read, since each plane needs all of it. */
const KEPT_BYTES = 64 << 20

/** About this many codes are in memory at a time while they are packed. */
const CHUNK_CODES = 1 << 20

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

/**
 * What the scale of a ternary matrix is called where it is a tensor of its own: of packed bytes in a
 * checkpoint, and by converters to GGUF that keep codes and scale apart. Undefined where it can have none.
 */
export function scaleNameOf({ format }: ModelFile, { name, type }: TensorInfo): string | undefined {
  if (type === 'U8') return `${name}_scale`
  if (format !== 'gguf' || !name.endsWith('.weight')) return undefined
  return `${name.slice(0, -'weight'.length)}scale`
}

/** The stored `weight_scale` of a packed tensor, by the name that goes with it. */
export async function readWeightScale(file: ModelFile, tensor: TensorInfo): Promise<number> {
  const name = scaleNameOf(file, tensor) ?? ''
  const scale = file.tensors.get(name)
  if (scale === undefined) {
    throw new FormatError(
      `Expected "${name}" beside the packed tensor "${tensor.name}" in ${file.name}, found none.`,
      { field: name, path: file.name },
    )
  }
  return readSingle(scale)
}

/** The only element of a tensor, or one of as many as there are matrices that it is about. */
export async function readSingle(tensor: TensorInfo, of?: MatrixOfStack): Promise<number> {
  const { index = 0, count = 1 } = of ?? {}
  const step = tensor.byteLength / count
  if (elementCount(tensor.shape) !== count || !isDense(tensor.type) || step > 8) {
    const wanted = count === 1 ? 'one number' : `${count} numbers`
    throw tensorError(
      tensor,
      `Expected ${wanted} in tensor "${tensor.name}", got ${tensor.type} of [${tensor.shape}].`,
    )
  }
  const bytes = await tensor.source.read(tensor.offset + index * step, step)
  // A scale that divides may need more digits than a float32 has.
  if (tensor.type === 'F64') return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true)
  const out = new Float32Array(1)
  decodeDense(tensor.type, bytes, out)
  return out[0]
}

/** Packs codes (rows, cols) row-major into (ceil(rows / 4), cols) bytes. */
export function packHf(codes: Int8Array, rows: number, cols: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(rows / 4) * cols)
  addRows(bytes, cols, codes, 0, rows)
  return bytes
}

/**
 * A whole matrix packed; its rows are read once, from the first to the last. The result, a quarter of
 * a byte a weight, is held in memory.
 */
export async function packHfTensor(tensor: TernaryTensor): Promise<Uint8Array> {
  const { rows, cols } = tensor
  const bytes = new Uint8Array(Math.ceil(rows / 4) * cols)
  const step = Math.min(rows, Math.max(1, Math.floor(CHUNK_CODES / cols)))
  const codes = new Int8Array(step * cols)
  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first)
    await tensor.readCodes(first, count, codes)
    addRows(bytes, cols, codes, first, count)
  }
  return bytes
}

/** Adds codes (count, cols) of rows from `first` on to the packed bytes of a whole matrix. */
function addRows(
  bytes: Uint8Array,
  cols: number,
  codes: Int8Array,
  first: number,
  count: number,
): void {
  const byteRows = bytes.length / cols
  const byWords = cols % 4 === 0 && codes.byteOffset % 4 === 0
  const packed = new Int32Array(bytes.buffer, 0, bytes.length >> 2)
  const weights = byWords ? new Int32Array(codes.buffer, codes.byteOffset, codes.length >> 2) : null
  for (let r = 0; r < count; r++) {
    const plane = Math.floor((first + r) / byteRows)
    const to = (first + r - plane * byteRows) * cols
    if (weights !== null) {
      const [target, source] = [to >> 2, (r * cols) >> 2]
      for (let w = 0; w < cols >> 2; w++) {
        packed[target + w] |= weightsToCodes(weights[source + w]) << (2 * plane)
      }
    } else {
      for (let c = 0; c < cols; c++) bytes[to + c] |= (codes[r * cols + c] + 1) << (2 * plane)
    }
  }
}

/** A scale as it is stored. */
interface WeightScale {
  readonly dtype: 'BF16' | 'F32' | 'F64'
  /** Little-endian. */
  readonly bytes: Uint8Array
}

/** The type that holds any scale exactly, for headers that are written before the scale is known. */
export function widestScaleType(convention: ScaleConvention): 'F32' | 'F64' {
  return convention === 'multiply' ? 'F32' : 'F64'
}

/**
 * @param scale a positive float32
 * @param dtype the type to use; unset: the narrowest
 */
export function encodeWeightScale(
  scale: number,
  convention: ScaleConvention,
  dtype?: WeightScale['dtype'],
): WeightScale {
  const stored = convention === 'multiply' ? scale : 1 / scale
  const isExact = (value: number) =>
    Math.fround(convention === 'multiply' ? value : 1 / value) === scale
  const half = encodeDense('BF16', Float32Array.of(stored))
  const rounded = new Float32Array(1)
  decodeDense('BF16', half, rounded)
  if (dtype === 'BF16' || (dtype === undefined && isExact(rounded[0]))) {
    return { dtype: 'BF16', bytes: half }
  }
  if (dtype === 'F32' || (dtype === undefined && isExact(Math.fround(stored)))) {
    return { dtype: 'F32', bytes: new Uint8Array(Float32Array.of(stored).buffer) }
  }
  return { dtype: 'F64', bytes: new Uint8Array(Float64Array.of(stored).buffer) }
}
