/**
 * Block types of one or two bits a weight with a half-precision scale d for each group, as PrismML's
 * Bonsai models have them. d comes first, then codes from the lowest bits on.
 *
 *   Q1_0               d, 16 bytes for 128 elements   w = d where the bit is set, else -d
 *   Q2_0, Q2_0_128     d, bytes of four codes         w = (c - 1) d
 *
 * Activations are not quantised in these models, and a row has many scales, so they are read as dense
 * weights: exactly, as ±d is a half itself.
 */
import { float16Table } from '../kernels/float16.ts'

const Q1_GROUP = 128

export function decodeQ1_0(out: Float32Array, bytes: Uint8Array): void {
  const halves = float16Table()
  for (let at = 0, o = 0; o < out.length; at += 2 + Q1_GROUP / 8, o += Q1_GROUP) {
    const d = halves[bytes[at] | (bytes[at + 1] << 8)]
    for (let i = 0; i < Q1_GROUP; i++) {
      out[o + i] = (bytes[at + 2 + (i >> 3)] >> (i & 7)) & 1 ? d : -d
    }
  }
}

/** @param group elements of a block */
export function decodeQ2_0(out: Float32Array, bytes: Uint8Array, group: number): void {
  const halves = float16Table()
  for (let at = 0, o = 0; o < out.length; at += 2 + group / 4, o += group) {
    const d = halves[bytes[at] | (bytes[at + 1] << 8)]
    for (let i = 0; i < group; i++) {
      out[o + i] = (((bytes[at + 2 + (i >> 2)] >> (2 * (i & 3))) & 3) - 1) * d
    }
  }
}
