/**
 * IEEE 754 binary16, which JavaScript has no array for: 1 sign bit, 5 exponent bits (bias 15),
 * 10 fraction bits. Decoding is exact; encoding rounds to nearest, ties to even, as hardware does.
 */

const float = new Float32Array(1)
const word = new Uint32Array(float.buffer)

/** 2^112: moves a half's exponent (bias 15) to a float's (bias 127); exact, subnormals too. */
const REBIAS = 2 ** 112

function decode(bits: number): number {
  const magnitude = bits & 0x7fff
  // Infinity and NaN keep their fraction; everything else is the fraction moved up by 13 bits and
  // rebiased by one exact multiplication.
  if (magnitude >= 0x7c00) {
    word[0] = 0x7f800000 | ((magnitude & 0x3ff) << 13)
    return bits & 0x8000 ? -float[0] : float[0]
  }
  word[0] = magnitude << 13
  const value = float[0] * REBIAS
  return bits & 0x8000 ? -value : value
}

let table: Float32Array | undefined

/** Every half as a float, by its bits: 256 KiB, made on first use, for loops that decode many. */
export function float16Table(): Float32Array {
  table ??= Float32Array.from({ length: 0x10000 }, (_, bits) => decode(bits))
  return table
}

/** The value of a half given by its 16 bits; exact. */
export function float16ToFloat32(bits: number): number {
  return float16Table()[bits & 0xffff]
}

/**
 * The 16 bits of the half nearest to `x`, ties to even. Magnitudes of 65520 and above become
 * infinity, those of 2^-25 and below become zero; NaN becomes a quiet NaN.
 */
export function float32ToFloat16(x: number): number {
  float[0] = x
  const bits = word[0]
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) {
    // A subnormal half is a multiple of 2^-24. Adding 0.5, where floats are 2^-24 apart, makes the
    // adder round to such a multiple, half to even; the low bits then count them.
    word[0] = magnitude
    float[0] = float[0] + 0.5
    return sign | (word[0] - 0x3f000000)
  }
  // 13 fraction bits go: add just less than half of the last kept bit, one more if that bit is odd.
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
  return sign | ((rounded - 0x38000000) >>> 13)
}

/** Decodes `bits` into `out`, which must be as long. */
export function decodeFloat16(out: Float32Array, bits: Uint16Array): void {
  const values = float16Table()
  for (let i = 0; i < bits.length; i++) out[i] = values[bits[i]]
}
