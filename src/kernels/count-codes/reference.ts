/** Counts of codes, two bits each, sixteen in a word: 0 is -1, 1 is 0, 2 is +1. Padding is 0 and stays it. */

/** What is counted: -1, +1, and what has changed. */
export const COUNTS = 3

/**
 * @param before what the codes were; becomes what they are
 * @param words of both
 */
export function countCodes(
  out: Int32Array,
  codes: Int32Array,
  before: Int32Array,
  words: number,
): void {
  out.fill(0, 0, COUNTS)
  for (let i = 0; i < words; i++) {
    for (let at = 0; at < 32; at += 2) {
      const code = (codes[i] >>> at) & 3
      if (code === 0) out[0]++
      if (code === 2) out[1]++
      if (code !== ((before[i] >>> at) & 3)) out[2]++
    }
    before[i] = codes[i]
  }
}
