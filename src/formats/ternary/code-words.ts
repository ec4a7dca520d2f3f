/**
 * Four 2-bit codes at once. A 32-bit word of packed bytes, shifted and masked with 0x03030303, is the
 * codes w + 1 of four neighbouring elements; one subtraction without carries between bytes turns them
 * into four int8 weights.
 */

/** Word by word where both sides are aligned to four bytes, otherwise byte by byte. */
export function areAligned(a: Uint8Array, b: Int8Array): boolean {
  return a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0
}

/** Four codes (0..2 in each byte) to four weights; 0x80 in each byte keeps borrows apart. */
export function codesToWeights(codes: number): number {
  return ((codes | 0x80808080) - 0x01010101) ^ 0x80808080
}

/** Four weights to four codes: the inverse of {@link codesToWeights}. */
export function weightsToCodes(weights: number): number {
  return ((weights ^ 0x80808080) + 0x01010101) ^ 0x80808080
}

/** The bytes as 32-bit words, the last one filled up with zeros; a copy only where that is needed. */
export function asWords(codes: Int8Array): Int32Array {
  if (codes.byteOffset % 4 === 0 && codes.length % 4 === 0) {
    return new Int32Array(codes.buffer, codes.byteOffset, codes.length >> 2)
  }
  const words = new Int32Array(Math.ceil(codes.length / 4))
  new Int8Array(words.buffer).set(codes)
  return words
}

/** How many of the codes are 0. A code that is not has its lowest bit set, -1 as well as 1. */
export function countZeros(codes: Int8Array): number {
  const words = asWords(codes)
  let used = 0
  for (let at = 0; at < words.length; ) {
    // Four sums of at most 255 in the bytes of one word: no carry between them.
    const end = Math.min(words.length, at + 255)
    let sums = 0
    for (; at < end; at++) sums += words[at] & 0x01010101
    used += (sums & 0xff) + ((sums >>> 8) & 0xff) + ((sums >>> 16) & 0xff) + (sums >>> 24)
  }
  return codes.length - used
}

/**
 * The bit pair at `shift` of every byte, as weights.
 *
 * @param out at least bytes.length
 * @returns whether the unused code 3 occurred
 */
export function unpackPlane(out: Int8Array, bytes: Uint8Array, shift: number): boolean {
  let unused = 0
  let i = 0
  if (areAligned(bytes, out)) {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
    const weights = new Int32Array(out.buffer, out.byteOffset, words.length)
    for (let w = 0; w < words.length; w++) {
      const codes = (words[w] >>> shift) & 0x03030303
      unused |= codes & (codes >>> 1) & 0x01010101
      weights[w] = codesToWeights(codes)
    }
    i = 4 * words.length
  }
  for (; i < bytes.length; i++) {
    const code = (bytes[i] >> shift) & 3
    unused |= code & (code >> 1)
    out[i] = code - 1
  }
  return unused !== 0
}
