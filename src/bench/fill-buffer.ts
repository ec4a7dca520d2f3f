/**
 * Fills a buffer piece by piece, through the one call that every backend has: with one byte, or with
 * words that look random and are the same every time.
 */
import type { Backend } from '../backends/backend.ts'
import type { BufferSlice } from '../kernels/slice.ts'

const PIECE_BYTES = 1 << 20

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

/** Pieces by what they were made with, so that copies of an operand need not make them again. */
export type Pieces = Map<Fill, { state: number; readonly made: Uint8Array[] }>

/** 16 MiB; what is longer has them again from the start. */
const MOST_PIECES = 16

/**
 * A page that was never written may be a shared page of zeros, which is not read from memory: what is
 * timed must be filled first.
 *
 * @param pieces what earlier calls made, if there are any
 */
export function fillBuffer(
  backend: Backend,
  slice: BufferSlice,
  fill: Fill,
  pieces: Pieces = new Map(),
): void {
  for (let i = 0, at = 0; at < slice.byteLength; i++, at += PIECE_BYTES) {
    const piece = pieceOf(pieces, fill, i % MOST_PIECES)
    backend.write(slice, at, piece.subarray(0, Math.min(PIECE_BYTES, slice.byteLength - at)))
  }
}

function pieceOf(pieces: Pieces, fill: Fill, index: number): Uint8Array {
  const own = pieces.get(fill) ?? { state: 1, made: [] }
  pieces.set(fill, own)
  if (own.made.length <= index) {
    const piece = new Uint8Array(PIECE_BYTES)
    if (typeof fill === 'number') piece.fill(fill)
    else own.state = randomWords(new Uint32Array(piece.buffer), fill, own.state)
    own.made.push(piece)
  }
  return own.made[index]
}

/** xorshift32 (Marsaglia 2003). @returns the state behind the last word */
function randomWords(words: Uint32Array, fill: (random: number) => number, first: number): number {
  let state = first
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = fill(state)
  }
  return state
}
