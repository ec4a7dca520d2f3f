/**
 * The KV cache of one layer. A cache holds `slots` sequences of `capacity` positions, a multiple of 16,
 * for each of nKvHeads heads. Sixteen positions of a head are a block; blocks lie by slot, head and
 * position. A block is its header, which f32 and f16 do not have, and its elements:
 *
 *   keys    element (position, d) is number d * 16 + (position & 15): sixteen positions in lanes, so
 *           that scores need no horizontal sum
 *   values  element (position, d) is number (position & 15) * stride + d, with the stride the next
 *           multiple of 16, of 32 for int4; the padding is zero
 *
 * int8 elements are signed codes; the header has one f16 scale a position. int4 elements are codes from
 * 0 to 15, two in a byte; the header has, for each group of 32 dimensions, sixteen f16 scales and then
 * sixteen f16 offsets. In a byte, the low and the high half are
 *
 *   keys    dimensions 2i and 2i + 1; the byte is number i * 16 + (position & 15)
 *   values  dimensions j and j + 16 of a group; the byte is number j of its 16, groups one after another
 *
 * so that 16 bytes are two registers of neighbours.
 */
import { padToTile } from '../../ternary/index.ts'
import type { CacheType } from '../commands.ts'

/** All types, the most precise first. */
export const CACHE_TYPES: readonly CacheType[] = ['f32', 'f16', 'int8', 'int4']

/** Positions whose softmax is computed together; their results are merged in order. */
export const ATTENTION_CHUNK = 256

/** The widest head: native code keeps a head's values on its stack. */
export const MAX_HEAD_DIM = 256

/** Positions of a block. */
export const BLOCK = 16

/** Dimensions that share a scale and an offset in int4. */
export const INT4_GROUP = 32

export interface CacheShape {
  /** Unset: f16. */
  readonly type?: CacheType
  readonly slots: number
  readonly capacity: number
  readonly nKvHeads: number
  readonly headDim: number
}

/** Bytes of the parts of a block. */
export interface BlockBytes {
  readonly header: number
  readonly keys: number
  /** One position's values. */
  readonly valueRow: number
}

const ELEMENT_BITS: Record<CacheType, number> = { f32: 32, f16: 16, int8: 8, int4: 4 }

/** Dimensions to a scale: all of them in int8. */
export function groupCount({ type, headDim }: CacheShape): number {
  return type === 'int4' ? Math.ceil(headDim / INT4_GROUP) : 1
}

export function blockBytes(shape: CacheShape): BlockBytes {
  const { type = 'f16', headDim } = shape
  const bits = ELEMENT_BITS[type]
  const stride = type === 'int4' ? groupCount(shape) * INT4_GROUP : padToTile(headDim)
  // f16 each: a scale in int8, a scale and an offset a group in int4.
  const headers = { f32: 0, f16: 0, int8: 2 * BLOCK, int4: 4 * BLOCK * groupCount(shape) }
  return {
    header: headers[type],
    keys: (BLOCK * headDim * bits) / 8,
    valueRow: (stride * bits) / 8,
  }
}

/** Bytes of a layer's keys. */
export function keyCacheByteLength(shape: CacheShape): number {
  const { header, keys } = blockBytes(shape)
  return blockCount(shape) * (header + keys)
}

/** Bytes of a layer's values. */
export function valueCacheByteLength(shape: CacheShape): number {
  const { header, valueRow } = blockBytes(shape)
  return blockCount(shape) * (header + BLOCK * valueRow)
}

function blockCount({ slots, nKvHeads, capacity }: CacheShape): number {
  return (slots * nKvHeads * capacity) / BLOCK
}

/** The block of a slot's head that has this position. */
export function blockIndex(
  shape: CacheShape,
  slot: number,
  kvHead: number,
  position: number,
): number {
  return ((slot * shape.nKvHeads + kvHead) * shape.capacity + position) >> 4
}
