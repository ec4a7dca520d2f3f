/**
 * Fills a buffer piece by piece, through the one call that every backend has: with one byte, or with
 * words that look random and are the same every time.
 */
import type { Backend } from '../backends/backend.ts'
import type { BufferSlice } from '../kernels/slice.ts'

const PIECE_WORDS = 1 << 18

/** A byte, or the word to store for a random one. */
export type Fill = number | ((random: number) => number)

/**
 * Random words as operands that are as real ones are, in what their speed depends on: no float is
 * subnormal, infinite or NaN, ternary codes are valid, and no two rows of a matrix are the same.
 */
export const RANDOM = {
  /** Of 2^-7 to 2^-6, either sign. */
  floats: (r: number) => (r & 0x807fffff) | 0x3c000000,
  /** Of 2^-4 to 2^-3, positive: they may also be scales among bytes. */
  halves: (r: number) => (r & 0x03ff03ff) | 0x2c002c00,
  bytes: (r: number) => r,
  /** Of four codes the one that is none becomes weight 0, which half of all weights are then. */
  '2bit': (r: number) => r ^ ((r & (r >>> 1) & 0x55555555) << 1),
  /** Each byte scaled to 0..242, five weights to the base 3. */
  base3: (r: number) =>
    ((((r & 0xff00ff) * 243) >>> 8) & 0xff00ff) | ((((r >>> 8) & 0xff00ff) * 243) & 0xff00ff00),
} as const

/**
 * A page that was never written may be a shared page of zeros, which is not read from memory: what is
 * timed must be filled first.
 */
export function fillBuffer(backend: Backend, slice: BufferSlice, fill: Fill): void {
  const words = new Uint32Array(Math.min(PIECE_WORDS, Math.ceil(slice.byteLength / 4)))
  const piece = new Uint8Array(words.buffer)
  if (typeof fill === 'number') piece.fill(fill)
  let state = 1
  for (let at = 0; at < slice.byteLength; at += piece.length) {
    if (typeof fill === 'function') {
      for (let i = 0; i < words.length; i++) {
        // xorshift32 (Marsaglia 2003)
        state ^= state << 13
        state ^= state >>> 17
        state ^= state << 5
        words[i] = fill(state)
      }
    }
    backend.write(slice, at, piece.subarray(0, Math.min(piece.length, slice.byteLength - at)))
  }
}
