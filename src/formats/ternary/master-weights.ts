/**
 * Ternary codes from float weights. Master weights, as training leaves them, are quantised by absmean
 * over the whole tensor (Ma et al. 2024, section 2). If a tensor holds only -s, 0 and +s, it is ternary
 * already: its codes are taken as they are and s is the scale.
 *
 * Two passes over the file, a window at a time. A 16-bit type has only 65,536 values, so the first pass
 * counts magnitudes and the second looks each weight's code up.
 */
import { float16Table } from '../../kernels/float16.ts'
import { absmeanCodes, SCALE_FLOOR } from '../../ternary/index.ts'
import { asUint16, decodeBfloat16 } from '../float-codecs.ts'
import { LossMeter } from '../loss-meter.ts'
import type { TensorInfo } from '../model-file.ts'
import { elementCount } from '../tensor-types.ts'
import type { CodeReader } from './block-readers.ts'
import { ReadWindow } from './read-window.ts'
import { floatReader, floatRows, signs } from './scaled-rows.ts'
import { notFinite } from './tensor-damage.ts'

const PASS_BYTES = 4 << 20

interface MasterReader extends CodeReader {
  /** As TernaryTensor's. */
  roundingError(): Promise<number>
  /** Whether the weights were ternary already. */
  readonly exact: boolean
}

/** @throws FormatError on weights that are not finite */
export function openMaster(
  tensor: TensorInfo,
  type: 'F32' | 'F16' | 'BF16',
): Promise<MasterReader> {
  return type === 'F32' ? openMaster32(tensor) : openMaster16(tensor, valuesOf(type))
}

/** All values of a 16-bit type by their bits. */
function valuesOf(type: 'F16' | 'BF16'): Float32Array {
  if (type === 'F16') return float16Table()
  const values = new Float32Array(0x10000)
  decodeBfloat16(
    values,
    Uint16Array.from(values, (_, bits) => bits),
  )
  return values
}

async function openMaster16(tensor: TensorInfo, values: Float32Array): Promise<MasterReader> {
  const window = new ReadWindow(tensor, PASS_BYTES)
  const counts = await countMagnitudes(tensor, window)
  let sum = 0
  let least = 0
  let most = 0
  for (let bits = 1; bits < counts.length; bits++) {
    if (counts[bits] === 0) continue
    if (!Number.isFinite(values[bits])) throw notFinite(tensor)
    sum += counts[bits] * values[bits]
    most = values[bits]
    if (least === 0) least = most
  }
  const { scale, exact } = chooseScale(tensor, sum, least, most)
  const codes = new Int8Array(0x10000)
  if (exact) signs(codes, values)
  else absmeanCodes(codes, values, scale)
  const limit = codes.subarray(0, 0x7c00).lastIndexOf(0)
  const cols = tensor.shape[1]
  return {
    scale,
    exact,
    async readCodes(row, count, out) {
      const bits = asUint16(await window.bytes(2 * row * cols, 2 * count * cols))
      codesOfHalves(out, bits, limit)
    },
    async roundingError() {
      const meter = new LossMeter()
      for (let bits = 1; bits < counts.length; bits++) {
        if (counts[bits] > 0) meter.add(values[bits], codes[bits] * scale, counts[bits])
      }
      return meter.relativeError
    },
  }
}

/**
 * Codes of 16-bit floats: 0 up to the magnitude whose bits are `limit`, else the sign. Bits of floats
 * rise with their magnitude, so whole numbers are compared, two in a word: adding 0x7fff - limit to 15
 * bits sets the 16th where they are larger.
 */
function codesOfHalves(out: Int8Array, bits: Uint16Array, limit: number): void {
  let i = 0
  if (bits.byteOffset % 4 === 0 && out.byteOffset % 4 === 0) {
    const words = new Uint32Array(bits.buffer, bits.byteOffset, bits.length >> 1)
    const four = new Int32Array(out.buffer, out.byteOffset, bits.length >> 2)
    const rest = (0x7fff - limit) * 0x10001
    for (let f = 0; f < four.length; f++) {
      four[f] = twoCodes(words[2 * f], rest) | (twoCodes(words[2 * f + 1], rest) << 16)
    }
    i = 4 * four.length
  }
  for (; i < bits.length; i++) {
    const isUsed = (bits[i] & 0x7fff) > limit
    out[i] = isUsed ? ((bits[i] & 0x8000) === 0 ? 1 : -1) : 0
  }
}

/** Two int8 codes in the low bytes of the result. */
function twoCodes(word: number, rest: number): number {
  const used = (((word & 0x7fff7fff) + rest) >>> 15) & 0x00010001
  const negative = used & (word >>> 15)
  // 1 is 0x01 and -1 is 0x01 + 0xfe.
  const lanes = used + negative * 0xfe
  return (lanes | (lanes >>> 8)) & 0xffff
}

/**
 * How often each magnitude of a 16-bit type occurs. Neighbours are counted apart: few values are
 * frequent, and a count that was just written cannot be read again at once.
 */
async function countMagnitudes(tensor: TensorInfo, window: ReadWindow): Promise<Float64Array> {
  const counts = new Float64Array(0x8000)
  const even = new Uint32Array(0x8000)
  const odd = new Uint32Array(0x8000)
  for (let at = 0; at < tensor.byteLength; at += PASS_BYTES) {
    const bytes = await window.bytes(at, Math.min(PASS_BYTES, tensor.byteLength - at))
    // A view needs words to start at a multiple of four; a tensor in a window may not.
    const bits = asUint16(bytes.byteOffset % 4 === 0 ? bytes : bytes.slice())
    const words = new Uint32Array(bits.buffer, bits.byteOffset, bits.length >> 1)
    for (let i = 0; i < words.length; i++) {
      const word = words[i]
      even[word & 0x7fff]++
      odd[(word >>> 16) & 0x7fff]++
    }
    if (bits.length % 2 === 1) even[bits[bits.length - 1] & 0x7fff]++
    for (let i = 0; i < counts.length; i++) counts[i] += even[i] + odd[i]
    even.fill(0)
    odd.fill(0)
  }
  return counts
}

async function openMaster32(tensor: TensorInfo): Promise<MasterReader> {
  let sum = 0
  let least = Number.POSITIVE_INFINITY
  let most = 0
  for await (const { weights } of floatRows(tensor)) {
    for (let i = 0; i < weights.length; i++) {
      const a = Math.abs(weights[i])
      sum += a
      if (a > most) most = a
      if (a < least && a !== 0) least = a
    }
  }
  if (!Number.isFinite(sum)) throw notFinite(tensor)
  const { scale, exact } = chooseScale(tensor, sum, most === 0 ? 0 : least, most)
  const encode = (out: Int8Array, weights: Float32Array) =>
    exact ? signs(out, weights) : absmeanCodes(out, weights, scale)
  return {
    scale,
    exact,
    readCodes: floatReader(tensor, encode),
    async roundingError() {
      const meter = new LossMeter()
      for await (const { weights } of floatRows(tensor)) {
        const codes = new Int8Array(weights.length)
        encode(codes, weights)
        for (let i = 0; i < weights.length; i++) meter.add(weights[i], codes[i] * scale)
      }
      return meter.relativeError
    },
  }
}

/**
 * Both ways of quantising need no more than magnitudes.
 *
 * @param least the smallest that is not zero; 0 if there is none, as `most`
 */
function chooseScale(
  tensor: TensorInfo,
  sum: number,
  least: number,
  most: number,
): { scale: number; exact: boolean } {
  if (least === most && most !== 0) return { scale: most, exact: true }
  const mean = sum / elementCount(tensor.shape)
  return { scale: Math.fround(Math.max(mean, SCALE_FLOOR)), exact: most === 0 }
}
