/**
 * Float tensors as arrays of numbers. Files are little-endian, as is every machine that
 * runs JavaScript today.
 */
import { float32ToFloat16 } from '../kernels/float16.ts'

/** The bytes as 16-bit words: a view where alignment allows, otherwise a copy. */
export function asUint16(bytes: Uint8Array): Uint16Array {
  const whole = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice()
  return new Uint16Array(whole.buffer, whole.byteOffset, whole.byteLength >> 1)
}

/** The bytes as floats: a view where alignment allows, otherwise a copy. */
export function asFloat32(bytes: Uint8Array): Float32Array {
  const whole = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  return new Float32Array(whole.buffer, whole.byteOffset, whole.byteLength >> 2)
}

/** The bytes of a typed array, without a copy. */
export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

/** Rounds to nearest. */
export function decodeF64(out: Float32Array, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let i = 0; i < out.length; i++) out[i] = view.getFloat64(8 * i, true)
}

/** BF16 is the upper half of a float32; exact. */
export function decodeBfloat16(out: Float32Array, bits: Uint16Array): void {
  const words = new Uint32Array(out.buffer, out.byteOffset, bits.length)
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16
}

/** Rounds to nearest, ties to even. */
export function encodeF16(values: Float32Array): Uint8Array {
  const bits = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) bits[i] = float32ToFloat16(values[i])
  return bytesOf(bits)
}

/** Rounds to nearest, ties to even; a NaN stays one. */
export function encodeBF16(values: Float32Array): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const bits = new Uint16Array(values.length)
  for (let i = 0; i < words.length; i++) {
    const word = words[i]
    const nan = (word & 0x7fffffff) > 0x7f800000
    // Just less than half of the last kept bit, one more if that bit is odd.
    bits[i] = nan ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
  }
  return bytesOf(bits)
}
