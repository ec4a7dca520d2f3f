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
