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
import type { CacheType } from '../storage.ts'
import {
  ATTENTION_CHUNK,
  type CacheShape,
  groupCount,
  headerBytes,
  INT4_GROUP,
  KEY_BLOCK,
  keyBytes,
  valueBytes,
} from './layout.ts'

const f = Math.fround

/** int8 codes are stored unsigned, as dense int8 weights are. */
const CODE_BIAS = 128

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

type Part = 'keys' | 'values'

/** A position of one head: its number in its block. */
export interface Position {
  readonly block: number
  readonly head: number
  readonly position: number
}

/** Which blocks sequences have: (slots, columns). */
export interface TableMemory {
  readonly blocks: Int32Array
  readonly columns: number
}

/** Where a position of a sequence is. */
export function placeOf(
  { blocks, columns }: TableMemory,
  slot: number,
  head: number,
  position: number,
): Position {
  const block = blocks[slot * columns + Math.floor(position / ATTENTION_CHUNK)]
  return { block, head, position: position % ATTENTION_CHUNK }
}

/** Where in a part's memory a position has what. */
interface Places {
  readonly bytes: DataView
  /** Byte of a group's scale. */
  readonly scale: (group: number) => number
  /** Bytes from a group's scale to its offset. */
  readonly toOffset: number
  /** Byte of element d. */
  readonly at: (d: number) => number
}

function placesOf(cache: CacheMemory, part: Part, { block, head, position }: Position): Places {
  const { type = 'f16', nKvHeads } = cache
  const header = headerBytes(cache)
  const codes = part === 'keys' ? keyBytes(cache) : valueBytes(cache)
  const memory = cache[part]
  const count =
    part === 'keys' ? KEY_BLOCK : type === 'int8' || type === 'int4' ? ATTENTION_CHUNK : 1
  // This position's number among the `count` that lie together.
  const i = position % count
  const first = (block * nKvHeads + head) * ATTENTION_CHUNK + position - i
  const base = first * (header + codes)
  return {
    bytes: new DataView(memory.buffer, memory.byteOffset, memory.byteLength),
    scale: (group) => base + group * 4 * count + 2 * i,
    toOffset: 2 * count,
    at: elementPlace(type, part, base + header * count, i, count),
  }
}

/** Byte of element d, with the elements of `count` positions from `base` on. */
function elementPlace(
  type: CacheType,
  part: Part,
  base: number,
  i: number,
  count: number,
): (d: number) => number {
  if (type === 'f32' || type === 'f16') {
    const size = type === 'f32' ? 4 : 2
    return part === 'keys' ? (d) => base + (d * KEY_BLOCK + i) * size : (d) => base + d * size
  }
  // d within its group in int4, whose 32 dimensions are 16 bytes of a position.
  const code = (d: number) =>
    part === 'keys'
      ? ((d >> 2) * KEY_BLOCK + i) * 4 + (d & 3)
      : (d >> 4) * 16 * count + ((i >> 2) * 16 + (d & 15)) * 4 + (i & 3)
  if (type === 'int8') return (d) => base + code(d)
  return (d) => base + (d >> 5) * 16 * count + code(d & 15)
}

/** Whether int4 has dimension d in the high half of its byte. */
function isHigh(d: number): boolean {
  return (d & 16) !== 0
}

/** Writes x (headDim) as a position's key or value. */
export function writeVector(
  cache: CacheMemory,
  part: Part,
  place: Position,
  x: Float32Array,
): void {
  const { type = 'f16', headDim } = cache
  const { bytes, scale, toOffset, at } = placesOf(cache, part, place)
  switch (type) {
    case 'f32':
      for (let d = 0; d < headDim; d++) bytes.setFloat32(at(d), x[d], true)
      break
    case 'f16':
      for (let d = 0; d < headDim; d++) {
        bytes.setUint16(at(d), float32ToFloat16(x[d]), true)
      }
      break
    case 'int8': {
      let max = 0
      for (let d = 0; d < headDim; d++) max = Math.max(max, Math.abs(x[d]))
      const inverse = inverseOf(storeHalf(bytes, scale(0), f(max / 127)))
      for (let d = 0; d < headDim; d++) {
        bytes.setUint8(at(d), CODE_BIAS + code(f(x[d] * inverse), -127, 127))
      }
      break
    }
    case 'int4':
      for (let first = 0; first < headDim; first += INT4_GROUP) {
        const last = Math.min(first + INT4_GROUP, headDim)
        const header = scale(first / INT4_GROUP)
        const group = x.subarray(first, last)
        // + 0 makes a zero positive, whichever of two zeros was the least or the most.
        const offset = storeHalf(bytes, header + toOffset, Math.min(...group) + 0)
        const range = f(Math.max(...group) - offset) + 0
        const inverse = inverseOf(storeHalf(bytes, header, f(range / 15)))
        for (let d = first; d < last; d++) {
          const q = code(f(f(x[d] - offset) * inverse), 0, 15)
          const kept = bytes.getUint8(at(d)) & (isHigh(d) ? 0x0f : 0xf0)
          bytes.setUint8(at(d), kept | (isHigh(d) ? q << 4 : q))
        }
      }
      break
  }
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
  place: Position,
): void {
  const { type = 'f16', headDim } = cache
  const { bytes, scale, toOffset, at } = placesOf(cache, part, place)
  const halves = float16Table()
  const { elements, scales, offsets } = out
  switch (type) {
    case 'f32':
      for (let d = 0; d < headDim; d++) elements[d] = bytes.getFloat32(at(d), true)
      break
    case 'f16':
      for (let d = 0; d < headDim; d++) elements[d] = halves[bytes.getUint16(at(d), true)]
      break
    case 'int8':
      scales[0] = halves[bytes.getUint16(scale(0), true)]
      for (let d = 0; d < headDim; d++) elements[d] = bytes.getUint8(at(d)) - CODE_BIAS
      break
    case 'int4':
      for (let group = 0; group < scales.length; group++) {
        scales[group] = halves[bytes.getUint16(scale(group), true)]
        offsets[group] = halves[bytes.getUint16(scale(group) + toOffset, true)]
      }
      for (let d = 0; d < headDim; d++) {
        elements[d] = (bytes.getUint8(at(d)) >> (isHigh(d) ? 4 : 0)) & 15
      }
      break
  }
}
