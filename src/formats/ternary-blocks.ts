/**
 * ggml's ternary blocks of 256 elements with one half-precision scale d at their end (ggml-common.h):
 *
 *   TQ2_0  2-bit codes [64], d        element 128 h + m + 32 l in bits 2l+1..2l of byte 32 h + m
 *   TQ1_0  5 trits [48], 4 trits [4], d
 *          byte m of the first 32: elements m + 32 n       (n = 0..4)
 *          byte m of the next 16:  elements 160 + m + 16 n (n = 0..4)
 *          byte m of the last 4:   elements 240 + m + 4 n  (n = 0..3)
 *
 * A code is w + 1. A byte of trits is ceil(value * 256 / 243) of the five digits read as a base-3
 * number, most significant first, so that digit n is the integer part of 3 * (b 3^n mod 256) / 256.
 */

/** Elements of a block. */
export const TERNARY_BLOCK = 256

/** Digit n of every byte as a weight, (5, 256). */
const TRITS = new Int8Array(5 * 256)
for (let byte = 0; byte < 256; byte++) {
  let rest = byte
  for (let n = 0; n < 5; n++) {
    TRITS[n * 256 + byte] = ((3 * rest) >> 8) - 1
    rest = (3 * rest) & 255
  }
}

/** The byte of each value of five digits. */
const TRIT_BYTES = Uint8Array.from({ length: 243 }, (_, value) => Math.ceil((value * 256) / 243))

/** Codes of one TQ1_0 block, into out[o, o + 256). */
function decodeTrits(out: Int8Array, o: number, bytes: Uint8Array, at: number): void {
  for (let m = 0; m < 32; m++) {
    const byte = bytes[at + m]
    for (let n = 0; n < 5; n++) out[o + m + 32 * n] = TRITS[n * 256 + byte]
  }
  for (let m = 0; m < 16; m++) {
    const byte = bytes[at + 32 + m]
    for (let n = 0; n < 5; n++) out[o + 160 + m + 16 * n] = TRITS[n * 256 + byte]
  }
  for (let m = 0; m < 4; m++) {
    const byte = bytes[at + 48 + m]
    for (let n = 0; n < 4; n++) out[o + 240 + m + 4 * n] = TRITS[n * 256 + byte]
  }
}

/** Codes of one TQ2_0 block, into out[o, o + 256). The unused code 3 comes out as 2. */
function decodePairs(out: Int8Array, o: number, bytes: Uint8Array, at: number): void {
  for (let half = 0; half < 2; half++) {
    const base = o + 128 * half
    const from = at + 32 * half
    for (let m = 0; m < 32; m++) {
      const byte = bytes[from + m]
      out[base + m] = (byte & 3) - 1
      out[base + 32 + m] = ((byte >> 2) & 3) - 1
      out[base + 64 + m] = ((byte >> 4) & 3) - 1
      out[base + 96 + m] = (byte >> 6) - 1
    }
  }
}

/** Of five digits, the first at `first`; 121 is the value of five weights of 0. */
function fiveTrits(codes: Int8Array, first: number, stride: number): number {
  const high = 81 * codes[first] + 27 * codes[first + stride] + 9 * codes[first + 2 * stride]
  return TRIT_BYTES[high + 3 * codes[first + 3 * stride] + codes[first + 4 * stride] + 121]
}

/** One TQ1_0 block without d from codes[o, o + 256). */
function encodeTrits(bytes: Uint8Array, at: number, codes: Int8Array, o: number): void {
  for (let m = 0; m < 32; m++) bytes[at + m] = fiveTrits(codes, o + m, 32)
  for (let m = 0; m < 16; m++) bytes[at + 32 + m] = fiveTrits(codes, o + 160 + m, 16)
  for (let m = 0; m < 4; m++) {
    const first = o + 240 + m
    const high = 27 * codes[first] + 9 * codes[first + 4] + 3 * codes[first + 8]
    // The fifth digit is absent, which is 0 and not the code of weight 0.
    bytes[at + 48 + m] = TRIT_BYTES[3 * (high + codes[first + 12] + 40)]
  }
}

/** One TQ2_0 block without d from codes[o, o + 256). */
function encodePairs(bytes: Uint8Array, at: number, codes: Int8Array, o: number): void {
  for (let half = 0; half < 2; half++) {
    const base = o + 128 * half
    for (let m = base; m < base + 32; m++) {
      bytes[at + 32 * half + m - base] =
        (codes[m] + 1) |
        ((codes[m + 32] + 1) << 2) |
        ((codes[m + 64] + 1) << 4) |
        ((codes[m + 96] + 1) << 6)
    }
  }
}

/** How blocks of each type are read and written; `size` in bytes, of which the last two are d. */
export const TERNARY_BLOCKS = {
  TQ1_0: { size: 54, decode: decodeTrits, encode: encodeTrits },
  TQ2_0: { size: 66, decode: decodePairs, encode: encodePairs },
} as const
