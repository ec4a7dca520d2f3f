/**
 * Packs rows of ternary codes into a matrix, rows [firstRow, firstRow + rows). ternary/pack.ts and
 * ternary/base3.ts have the layouts; this is the operation that loading uses, so that it runs where the matrix lies.
 */
export { packBase3Rows, packColumns, packGatedRows, packRows } from '../../ternary/index.ts'

/**
 * Codes from I2_S bytes in the published layout: element 128 B + 32 g + p lies in byte 32 B + p, bits
 * 7 - 2g and 6 - 2g, as code + 1. The unused 3 becomes 0; a reader refuses it before.
 */
export function unpackI2s(bytes: Uint8Array): Int8Array {
  const codes = new Int8Array(bytes.length * 4)
  for (let i = 0; i < bytes.length; i++) {
    const to = (i >> 5) * 128 + (i & 31)
    for (let g = 0; g < 4; g++) {
      const stored = (bytes[i] >> (6 - 2 * g)) & 3
      codes[to + 32 * g] = stored === 3 ? 0 : stored - 1
    }
  }
  return codes
}
