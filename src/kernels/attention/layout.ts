/**
 * The KV cache of one layer, in halves or float32. A cache holds `slots` sequences of `capacity` positions, a
 * multiple of 16, for each of nKvHeads heads; block b = slot * nKvHeads + head.
 *
 *   keys    element (position, d) of block b is at
 *           b * capacity * headDim + ((position >> 4) * headDim + d) * 16 + (position & 15):
 *           sixteen positions in lanes, so that scores need no horizontal sum
 *   values  element (position, d) of block b is at
 *           b * capacity * headDimPadded + position * headDimPadded + d, with headDimPadded the next
 *           multiple of 16; the padding stays as it was allocated, zero
 */
import { padToTile } from '../../ternary/index.ts'
import type { CacheType } from '../commands.ts'

/** Positions whose softmax is computed together; their results are merged in order. */
export const ATTENTION_CHUNK = 256

/** The widest head: native code keeps a head's values on its stack. */
export const MAX_HEAD_DIM = 256

export interface CacheShape {
  /** Unset: f16. */
  readonly type?: CacheType
  readonly slots: number
  readonly capacity: number
  readonly nKvHeads: number
  readonly headDim: number
}

/** Bytes of a layer's keys. */
export function keyCacheByteLength(shape: CacheShape): number {
  return shape.slots * shape.nKvHeads * shape.capacity * shape.headDim * elementBytes(shape)
}

/** Bytes of a layer's values. */
export function valueCacheByteLength(shape: CacheShape): number {
  const { slots, nKvHeads, capacity, headDim } = shape
  return slots * nKvHeads * capacity * padToTile(headDim) * elementBytes(shape)
}

function elementBytes(shape: CacheShape): number {
  return shape.type === 'f32' ? 4 : 2
}

/** Index of the first element of a slot's keys for one head. */
export function keyBase(shape: CacheShape, slot: number, kvHead: number): number {
  return (slot * shape.nKvHeads + kvHead) * shape.capacity * shape.headDim
}

/** Index of the first element of a slot's values for one head. */
export function valueBase(shape: CacheShape, slot: number, kvHead: number): number {
  return (slot * shape.nKvHeads + kvHead) * shape.capacity * padToTile(shape.headDim)
}

/** Index of key element (position, d) from its {@link keyBase}. */
export function keyOffset(headDim: number, position: number, d: number): number {
  return ((position >> 4) * headDim + d) * 16 + (position & 15)
}
