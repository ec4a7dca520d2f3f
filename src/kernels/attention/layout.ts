/**
 * The KV cache of one layer: blocks of 256 positions, as many as attention goes through at a time. Which
 * blocks are a sequence's, and in which order, a table says (matrices.ts). A block holds the positions of
 * each of nKvHeads heads. What follows is the part of one block and head, with position the number in it;
 * these lie one after another, by block and then by head.
 *
 * f32 and f16:
 *
 *   keys    element (position, d) is number ((position >> 4) * headDim + d) * 16 + (position & 15):
 *           sixteen positions in lanes, so that scores need no horizontal sum
 *   values  element (position, d) is number position * stride + d, with the stride the next multiple of
 *           16; the padding stays as it was allocated, zero
 *
 * int8 and int4 are laid out for integer dot products, as dense int8 matrices are
 * (dense-matmul/layout.ts): bytes hold code + 128, and four neighbours in the sum are one word.
 *
 *   keys    16 positions after another: a header with a f16 scale a position, then element (position, d)
 *           is byte ((d >> 2) * 16 + (position & 15)) * 4 + (d & 3), headDim padded to 4
 *   values  a header with a f16 scale a position, then stripes of 16 dimensions; element (position, d)
 *           of a stripe is byte ((position >> 2) * 16 + (d & 15)) * 4 + (position & 3)
 *
 * int4 holds codes from 0 to 15, two in a byte, for groups of 32 dimensions: the low half of a byte is
 * the code that int8 would have there in the first 16 dimensions of the group, the high half the one in
 * the other 16. A header has for each group its scales and then its offsets, f16 each.
 */
import { padToTile } from '../../ternary/index.ts'
import type { CacheType } from '../storage.ts'

/** Positions of a block, whose softmax is computed together; results of blocks are merged in order. */
export const ATTENTION_CHUNK = 256

/** The widest head: native code keeps a head's values on its stack. */
export const MAX_HEAD_DIM = 256

/** Positions whose keys lie in lanes. */
export const KEY_BLOCK = 16

/** Dimensions that share a scale and an offset in int4. */
export const INT4_GROUP = 32

export interface CacheShape {
  /** Unset: f16. */
  readonly type?: CacheType
  readonly blocks: number
  readonly nKvHeads: number
  readonly headDim: number
}

/** Groups of dimensions with a scale of their own: one in int8. */
export function groupCount({ type, headDim }: CacheShape): number {
  return type === 'int4' ? Math.ceil(headDim / INT4_GROUP) : 1
}

/** Bytes of one position's scales and offsets, as a key or as a value. */
export function headerBytes(shape: CacheShape): number {
  if (shape.type === 'int8') return 2
  return shape.type === 'int4' ? 4 * groupCount(shape) : 0
}

/** Bytes of one position's key, without the header. */
export function keyBytes(shape: CacheShape): number {
  const { type = 'f16', headDim } = shape
  const bytes = { f32: 4 * headDim, f16: 2 * headDim, int8: Math.ceil(headDim / 4) * 4 }
  return type === 'int4' ? (groupCount(shape) * INT4_GROUP) / 2 : bytes[type]
}

/** Bytes of one position's values, without the header. */
export function valueBytes(shape: CacheShape): number {
  const { type = 'f16', headDim } = shape
  const stride = padToTile(headDim)
  const bytes = { f32: 4 * stride, f16: 2 * stride, int8: stride }
  return type === 'int4' ? (groupCount(shape) * INT4_GROUP) / 2 : bytes[type]
}

/** Bytes of a layer's keys. */
export function keyCacheByteLength(shape: CacheShape): number {
  return positionCount(shape) * (headerBytes(shape) + keyBytes(shape))
}

/** Bytes of a layer's values. */
export function valueCacheByteLength(shape: CacheShape): number {
  return positionCount(shape) * (headerBytes(shape) + valueBytes(shape))
}

function positionCount({ blocks, nKvHeads }: CacheShape): number {
  return blocks * nKvHeads * ATTENTION_CHUNK
}

/**
 * The runs of bytes that a head's part of a block consists of, by their lengths. In each the positions follow
 * each other: the first n of them, n a multiple of 16, are its first n / 256.
 */
export function positionRuns(shape: CacheShape, part: 'keys' | 'values'): readonly number[] {
  const codes = (part === 'keys' ? keyBytes(shape) : valueBytes(shape)) * ATTENTION_CHUNK
  const header = headerBytes(shape)
  const lieTogether = part === 'values' && header > 0
  if (!lieTogether) return [codes + header * ATTENTION_CHUNK]
  const stripe = 16 * ATTENTION_CHUNK
  return [
    ...Array<number>(header / 2).fill(2 * ATTENTION_CHUNK),
    ...Array<number>(codes / stripe).fill(stripe),
  ]
}
