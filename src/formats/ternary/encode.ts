/**
 * Ternary matrices as GGUF stores them, written a few rows at a time.
 */
import { ShapeError } from '../../errors.ts'
import { float16ToFloat32, float32ToFloat16 } from '../../kernels/float16.ts'
import type { TernaryTensor } from '../model-file.ts'
import { BLOCK_SIZES, I2_S_TAIL, tensorByteLength } from '../tensor-types.ts'
import { TERNARY_BLOCK, TERNARY_BLOCKS } from '../ternary-blocks.ts'
import { asWords, weightsToCodes } from './code-words.ts'

/** GGUF's types of ternary matrices. */
export type TernaryStorage = 'I2_S' | 'TQ1_0' | 'TQ2_0'

/** About this many codes are in memory at a time. */
const CHUNK_CODES = 1 << 20

/** The scale that a reader will find: TQ types keep it in half precision, I2_S in float32. */
export function storedScale(type: TernaryStorage, scale: number): number {
  return type === 'I2_S' ? scale : float16ToFloat32(float32ToFloat16(scale))
}

/**
 * The bytes of a matrix, in order.
 *
 * @throws ShapeError if the type cannot hold the shape or the scale
 */
export async function* encodeTernary(
  type: TernaryStorage,
  tensor: TernaryTensor,
): AsyncGenerator<Uint8Array> {
  yield* encodeCodes(type, tensor)
  if (type === 'I2_S') yield i2sTail(tensor.scale)
}

/** What stands behind all codes of an I2_S tensor. */
export function i2sTail(scale: number): Uint8Array {
  const tail = new Uint8Array(I2_S_TAIL)
  new DataView(tail.buffer).setFloat32(0, scale, true)
  return tail
}

/** As {@link encodeTernary}, without the scale that stands behind I2_S codes. */
export async function* encodeCodes(
  type: TernaryStorage,
  tensor: TernaryTensor,
): AsyncGenerator<Uint8Array> {
  const { rows, cols, scale, name } = tensor
  tensorByteLength(type, [rows, cols])
  const stored = storedScale(type, scale)
  if (!(stored > 0 && Number.isFinite(stored))) {
    throw new ShapeError(`Expected a scale of half precision for ${type}, got ${scale} in ${name}.`)
  }
  const block = BLOCK_SIZES[type]
  const step = rowsPerChunk(rows, cols, block.elements)
  const codes = new Int8Array(step * cols)
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row)
    await tensor.readCodes(row, count, codes)
    yield encodeBlocks(type, codes.subarray(0, count * cols), scale)
  }
}

/** Enough rows for a chunk, and together a whole number of blocks. */
function rowsPerChunk(rows: number, cols: number, block: number): number {
  let unit = 1
  while ((unit * cols) % block !== 0) unit *= 2
  return Math.min(rows, unit * Math.max(1, Math.floor(CHUNK_CODES / (unit * cols))))
}

function encodeBlocks(type: TernaryStorage, codes: Int8Array, scale: number): Uint8Array {
  const { elements, bytes } = BLOCK_SIZES[type]
  const out = new Uint8Array((codes.length / elements) * bytes)
  if (type === 'I2_S') {
    encodeI2S(out, codes)
    return out
  }
  const { encode } = TERNARY_BLOCKS[type]
  const d = float32ToFloat16(scale)
  for (let at = 0, o = 0; o < codes.length; at += bytes, o += TERNARY_BLOCK) {
    encode(out, at, codes, o)
    out[at + bytes - 2] = d
    out[at + bytes - 1] = d >> 8
  }
  return out
}

/** The inverse of decodeI2S in block-readers.ts: 32 words of weights become 8 words of codes. */
function encodeI2S(out: Uint8Array, codes: Int8Array): void {
  const weights = asWords(codes)
  const words = new Uint32Array(out.buffer, out.byteOffset, out.length >> 2)
  for (let w = 0; w < words.length; w++) {
    const from = (w >> 3) * 32 + (w & 7)
    words[w] =
      (weightsToCodes(weights[from]) << 6) |
      (weightsToCodes(weights[from + 8]) << 4) |
      (weightsToCodes(weights[from + 16]) << 2) |
      weightsToCodes(weights[from + 24])
  }
}
