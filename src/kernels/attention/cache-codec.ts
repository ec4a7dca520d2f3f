/**
 * How one head's vector is written to the cache and read from it, for every type; layout.ts has the
 * places.
 *
 *   int8   s = f16(max|x| / 127), code = clamp(round(x * (1 / s)), -127, 127), x = s * code
 *   int4   of each group of 32: o = f16(min x), s = f16((max x - o) / 15),
 *          code = clamp(round((x - o) * (1 / s)), 0, 15), x = o + s * code
 *
 * rounding half to even; every operation is rounded to float32. 1 / 0 counts as 0. A scale to a vector
 * and not to a dimension of many vectors (as KIVI has it for keys, Liu et al. 2024) means that a
 * position is written once and never again, so results do not depend on how a prompt was cut.
 */
import { roundHalfEven } from '../../ternary/index.ts'
import { float16Table, float32ToFloat16 } from '../float16.ts'
import {
  BLOCK,
  type BlockBytes,
  blockBytes,
  blockIndex,
  type CacheShape,
  groupCount,
  INT4_GROUP,
} from './layout.ts'

const f = Math.fround

/** A layer's cache in memory: bytes that begin at a multiple of 4. */
export interface CacheMemory extends CacheShape {
  readonly keys: Uint8Array
  readonly values: Uint8Array
}

/** The vector of one position: numbers as stored, and what turns codes back into values. */
export interface CachedVector {
  /** Values in f32 and f16, codes in int8 and int4; (headDim). */
  readonly elements: Float32Array
  /** One a group; 1 where there are none. */
  readonly scales: Float32Array
  /** One a group, 0 but in int4. */
  readonly offsets: Float32Array
}

export function emptyVector(shape: CacheShape): CachedVector {
  const groups = groupCount(shape)
  return {
    elements: new Float32Array(shape.headDim),
    scales: new Float32Array(groups).fill(1),
    offsets: new Float32Array(groups),
  }
}

/** Where a block lies, and where in it an element does. */
interface Place {
  readonly bytes: DataView
  readonly block: number
  readonly header: number
  /** Byte of element d from the block's first. */
  readonly at: (d: number) => number
  /** Whether dimension d is in the high half of its byte; int4 only. */
  readonly isHigh: (d: number) => boolean
}

type Part = 'keys' | 'values'

function placeOf(cache: CacheMemory, part: Part, slot: number, head: number, p: number): Place {
  const { type } = cache
  const layout = blockBytes(cache)
  const { header, keys, valueRow } = layout
  const size = header + (part === 'keys' ? keys : BLOCK * valueRow)
  const memory = cache[part]
  return {
    bytes: new DataView(memory.buffer, memory.byteOffset, memory.byteLength),
    block: blockIndex(cache, slot, head, p) * size,
    header,
    at: elementOffset(cache, part, layout, p & 15),
    isHigh: type !== 'int4' ? () => false : part === 'keys' ? isOdd : isInSecondHalf,
  }
}

const isOdd = (d: number) => (d & 1) === 1
const isInSecondHalf = (d: number) => (d & 16) !== 0

function elementOffset(
  { type = 'f16' }: CacheShape,
  part: Part,
  { header, valueRow }: BlockBytes,
  lane: number,
): (d: number) => number {
  if (type === 'int4') {
    return part === 'keys'
      ? (d) => header + (d >> 1) * BLOCK + lane
      : (d) => header + lane * valueRow + (d >> 5) * 16 + (d & 15)
  }
  const size = { f32: 4, f16: 2, int8: 1 }[type]
  return part === 'keys'
    ? (d) => header + (d * BLOCK + lane) * size
    : (d) => header + lane * valueRow + d * size
}

/** Writes x (headDim) as a position's key or value. */
export function writeVector(
  cache: CacheMemory,
  part: Part,
  place: { readonly slot: number; readonly head: number; readonly position: number },
  x: Float32Array,
): void {
  const { type = 'f16', headDim } = cache
  const { slot, head, position } = place
  const { bytes, block, at, isHigh } = placeOf(cache, part, slot, head, position)
  const lane = position & 15
  switch (type) {
    case 'f32':
      for (let d = 0; d < headDim; d++) bytes.setFloat32(block + at(d), x[d], true)
      break
    case 'f16':
      for (let d = 0; d < headDim; d++) {
        bytes.setUint16(block + at(d), float32ToFloat16(x[d]), true)
      }
      break
    case 'int8': {
      let max = 0
      for (let d = 0; d < headDim; d++) max = Math.max(max, Math.abs(x[d]))
      const scale = storeHalf(bytes, block + 2 * lane, f(max / 127))
      const inverse = inverseOf(scale)
      for (let d = 0; d < headDim; d++) {
        bytes.setInt8(block + at(d), code(f(x[d] * inverse), -127, 127))
      }
      break
    }
    case 'int4':
      for (let first = 0; first < headDim; first += INT4_GROUP) {
        const last = Math.min(first + INT4_GROUP, headDim)
        const header = block + groupHeader(first / INT4_GROUP, lane)
        const group = x.subarray(first, last)
        // + 0 makes a zero positive, whichever of two zeros was the least or the most.
        const offset = storeHalf(bytes, header + 2 * BLOCK, Math.min(...group) + 0)
        const range = f(Math.max(...group) - offset) + 0
        const inverse = inverseOf(storeHalf(bytes, header, f(range / 15)))
        for (let d = first; d < first + INT4_GROUP; d++) {
          if (d >= headDim && part === 'keys') break
          const q = d < headDim ? code(f(f(x[d] - offset) * inverse), 0, 15) : 0
          const kept = bytes.getUint8(block + at(d)) & (isHigh(d) ? 0x0f : 0xf0)
          bytes.setUint8(block + at(d), kept | (isHigh(d) ? q << 4 : q))
        }
      }
      break
  }
}

/** Where the scale of a group lies in a block; its offset is 2 * BLOCK further. */
function groupHeader(group: number, lane: number): number {
  return 4 * BLOCK * group + 2 * lane
}

/** Stores x as f16. @returns the value that was stored */
function storeHalf(bytes: DataView, at: number, x: number): number {
  const bits = float32ToFloat16(x)
  bytes.setUint16(at, bits, true)
  return float16Table()[bits]
}

function inverseOf(scale: number): number {
  return scale > 0 ? f(1 / scale) : 0
}

/** What is no number becomes `least`, as in the kernels' comparisons. */
function code(x: number, least: number, most: number): number {
  return x > least ? roundHalfEven(Math.min(x, most)) : least
}

/** Reads a position's key or value into `out`. */
export function readVector(
  out: CachedVector,
  cache: CacheMemory,
  part: Part,
  place: { readonly slot: number; readonly head: number; readonly position: number },
): void {
  const { type = 'f16', headDim } = cache
  const { slot, head, position } = place
  const { bytes, block, at, isHigh } = placeOf(cache, part, slot, head, position)
  const lane = position & 15
  const halves = float16Table()
  const { elements, scales, offsets } = out
  switch (type) {
    case 'f32':
      for (let d = 0; d < headDim; d++) elements[d] = bytes.getFloat32(block + at(d), true)
      break
    case 'f16':
      for (let d = 0; d < headDim; d++) elements[d] = halves[bytes.getUint16(block + at(d), true)]
      break
    case 'int8':
      scales[0] = halves[bytes.getUint16(block + 2 * lane, true)]
      for (let d = 0; d < headDim; d++) elements[d] = bytes.getInt8(block + at(d))
      break
    case 'int4':
      for (let group = 0; group < scales.length; group++) {
        const header = block + groupHeader(group, lane)
        scales[group] = halves[bytes.getUint16(header, true)]
        offsets[group] = halves[bytes.getUint16(header + 2 * BLOCK, true)]
      }
      for (let d = 0; d < headDim; d++) {
        elements[d] = (bytes.getUint8(block + at(d)) >> (isHigh(d) ? 4 : 0)) & 15
      }
      break
  }
}
