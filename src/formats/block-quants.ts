/**
 * Block types with one half-precision scale d each. ggml's have 32 elements:
 *
 *   Q8_0  d, 32 int8                          w = q d
 *   Q5_0  d, 32 fifth bits, 16 nibble bytes   w = (q - 16) d
 *   Q4_0  d, 16 nibble bytes                  w = (q - 8) d
 *
 * In a nibble byte j the low half belongs to element j and the high half to element j + 16. Layouts
 * as in ggml-common.h; all products are float32. PrismML's Bonsai models have one or two bits a weight,
 * codes from the lowest bits on:
 *
 *   Q1_0               d, 16 bytes for 128 elements   w = d where the bit is set, else -d
 *   Q2_0, Q2_0_128     d, bytes of four codes         w = (c - 1) d
 *
 * Activations are not quantised in these models, and a row has many scales, so they are read as dense
 * weights: exactly, as ±d is a half itself.
 */
import { float16Table, float32ToFloat16 } from '../kernels/float16.ts'

const BLOCK = 32
const Q1_GROUP = 128

/**
 * The bits of floats, for {@link extremeOf}. The largest magnitude of a block is found among integers in
 * less than half the time.
 */
export function bitsOf(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length)
}

/** Where the value of largest magnitude is among `count` from `from` on; `from` if all are 0. */
export function extremeOf(bits: Int32Array, from: number, count: number): number {
  let max = 0
  let extreme = from
  for (let i = from; i < from + count; i++) {
    // All bits but the sign: their order as integers is the order of magnitudes.
    const magnitude = bits[i] & 0x7fffffff
    if (magnitude > max) {
      max = magnitude
      extreme = i
    }
  }
  return extreme
}

export function decodeQ8_0(out: Float32Array, bytes: Uint8Array): void {
  const halves = float16Table()
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0, o = 0; o < out.length; at += 34, o += BLOCK) {
    const d = halves[bytes[at] | (bytes[at + 1] << 8)]
    for (let i = 0; i < BLOCK; i++) out[o + i] = signed[at + 2 + i] * d
  }
}

export function decodeQ5_0(out: Float32Array, bytes: Uint8Array): void {
  const halves = float16Table()
  for (let at = 0, o = 0; o < out.length; at += 22, o += BLOCK) {
    const d = halves[bytes[at] | (bytes[at + 1] << 8)]
    const low = bytes[at + 2] | (bytes[at + 3] << 8)
    const high = bytes[at + 4] | (bytes[at + 5] << 8)
    for (let i = 0; i < BLOCK / 2; i++) {
      const nibbles = bytes[at + 6 + i]
      out[o + i] = (((nibbles & 15) | (((low >> i) & 1) << 4)) - 16) * d
      out[o + 16 + i] = (((nibbles >> 4) | (((high >> i) & 1) << 4)) - 16) * d
    }
  }
}

export function decodeQ4_0(out: Float32Array, bytes: Uint8Array): void {
  const halves = float16Table()
  for (let at = 0, o = 0; o < out.length; at += 18, o += BLOCK) {
    const d = halves[bytes[at] | (bytes[at + 1] << 8)]
    for (let i = 0; i < BLOCK / 2; i++) {
      const nibbles = bytes[at + 2 + i]
      out[o + i] = ((nibbles & 15) - 8) * d
      out[o + 16 + i] = ((nibbles >> 4) - 8) * d
    }
  }
}

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

/** d = max|w| / 127, q = w / d rounded. */
export function encodeQ8_0(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / BLOCK) * 34)
  const codes = new Int8Array(bytes.buffer)
  const bits = bitsOf(values)
  for (let at = 0, o = 0; o < values.length; at += 34, o += BLOCK) {
    const d = Math.fround(Math.abs(values[extremeOf(bits, o, BLOCK)]) / 127)
    const inverse = d === 0 ? 0 : 1 / d
    writeHalf(bytes, at, float32ToFloat16(d))
    // Truncation rounds to the nearest, as what is truncated is never negative.
    for (let i = 0; i < BLOCK; i++) {
      codes[at + 2 + i] = ((values[o + i] * inverse + 128.5) | 0) - 128
    }
  }
  return bytes
}

/** d = the value of largest magnitude / -8, so that this value is met by the lowest code. */
export function encodeQ4_0(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / BLOCK) * 18)
  const bits = bitsOf(values)
  for (let at = 0, o = 0; o < values.length; at += 18, o += BLOCK) {
    const d = Math.fround(values[extremeOf(bits, o, BLOCK)] / -8)
    const inverse = d === 0 ? 0 : 1 / d
    writeHalf(bytes, at, float32ToFloat16(d))
    for (let i = 0; i < BLOCK / 2; i++) {
      const low = (values[o + i] * inverse + 8.5) | 0
      const high = (values[o + 16 + i] * inverse + 8.5) | 0
      bytes[at + 2 + i] = Math.min(15, low) | (Math.min(15, high) << 4)
    }
  }
  return bytes
}

function writeHalf(bytes: Uint8Array, at: number, bits: number): void {
  bytes[at] = bits
  bytes[at + 1] = bits >> 8
}
