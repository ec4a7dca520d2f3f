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

export const TERNARY_BLOCK = 256
export const TQ1_0_BYTES = 54
export const TQ2_0_BYTES = 66

/** Digit n of every byte as a weight, (5, 256). */
const TRITS = new Int8Array(5 * 256)
for (let byte = 0; byte < 256; byte++) {
  let rest = byte
  for (let n = 0; n < 5; n++) {
    TRITS[n * 256 + byte] = ((3 * rest) >> 8) - 1
    rest = (3 * rest) & 255
  }
}

/** Codes of one TQ1_0 block, into out[o, o + 256). */
export function decodeTrits(out: Int8Array, o: number, bytes: Uint8Array, at: number): void {
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
export function decodePairs(out: Int8Array, o: number, bytes: Uint8Array, at: number): void {
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

/** One TQ1_0 block from codes[o, o + 256); d is given by its bits. */
export function encodeTrits(
  bytes: Uint8Array,
  at: number,
  codes: Int8Array,
  o: number,
  d: number,
): void {
  const pack = (first: number, stride: number, count: number) => {
    let value = 0
    for (let n = 0; n < 5; n++) {
      value = 3 * value + (n < count ? codes[first + stride * n] + 1 : 0)
    }
    return Math.ceil((value * 256) / 243)
  }
  for (let m = 0; m < 32; m++) bytes[at + m] = pack(o + m, 32, 5)
  for (let m = 0; m < 16; m++) bytes[at + 32 + m] = pack(o + 160 + m, 16, 5)
  for (let m = 0; m < 4; m++) bytes[at + 48 + m] = pack(o + 240 + m, 4, 4)
  bytes[at + 52] = d
  bytes[at + 53] = d >> 8
}

/** One TQ2_0 block from codes[o, o + 256); d is given by its bits. */
export function encodePairs(
  bytes: Uint8Array,
  at: number,
  codes: Int8Array,
  o: number,
  d: number,
): void {
  for (let half = 0; half < 2; half++) {
    const base = o + 128 * half
    for (let m = 0; m < 32; m++) {
      let byte = 0
      for (let l = 0; l < 4; l++) byte |= (codes[base + m + 32 * l] + 1) << (2 * l)
      bytes[at + 32 * half + m] = byte
    }
  }
  bytes[at + 64] = d
  bytes[at + 65] = d >> 8
}
