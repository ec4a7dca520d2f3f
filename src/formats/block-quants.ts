/**
 * ggml's block types of 32 elements, each with one half-precision scale d:
 *
 *   Q8_0  d, 32 int8                          w = q d
 *   Q5_0  d, 32 fifth bits, 16 nibble bytes   w = (q - 16) d
 *   Q4_0  d, 16 nibble bytes                  w = (q - 8) d
 *
 * In a nibble byte j the low half belongs to element j and the high half to element j + 16. Layouts
 * as in ggml-common.h; all products are float32.
 */
import { float16Table, float32ToFloat16 } from '../kernels/float16.ts'

const BLOCK = 32

/** All bits of a float32 but its sign: their order as integers is the order of magnitudes. */
export const MAGNITUDE = 0x7fffffff

const float = new Float32Array(1)
const word = new Int32Array(float.buffer)

/**
 * The bits of floats, to be masked with {@link MAGNITUDE}. The largest magnitude of a block is found
 * among integers in less than half the time.
 */
export function magnitudeBits(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length)
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

/** d = max|w| / 127, q = w / d rounded. */
export function encodeQ8_0(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / BLOCK) * 34)
  const codes = new Int8Array(bytes.buffer)
  const bits = magnitudeBits(values)
  for (let at = 0, o = 0; o < values.length; at += 34, o += BLOCK) {
    let max = 0
    for (let i = o; i < o + BLOCK; i++) {
      const magnitude = bits[i] & MAGNITUDE
      if (magnitude > max) max = magnitude
    }
    word[0] = max
    const d = Math.fround(float[0] / 127)
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
  const bits = magnitudeBits(values)
  for (let at = 0, o = 0; o < values.length; at += 18, o += BLOCK) {
    let max = 0
    let extreme = o
    for (let i = o; i < o + BLOCK; i++) {
      const magnitude = bits[i] & MAGNITUDE
      if (magnitude > max) {
        max = magnitude
        extreme = i
      }
    }
    const d = Math.fround(values[extreme] / -8)
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
