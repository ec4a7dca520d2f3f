/** The order of a head's rows: each element's partner moves from beside it to half a head away. */
import { expect, test } from 'vitest'
import { halfOrderRows } from './matrix-writer.ts'

test('pairs that lie side by side come to lie half a head apart, head by head', () => {
  // Row r holds r in both columns: two heads of six rows, pairs (0, 1), (2, 3), (4, 5).
  const rows = Int8Array.from({ length: 12 * 2 }, (_, i) => i >> 1)
  const out = new Int8Array(rows.length)
  halfOrderRows(out, rows, 6, 2)
  const order = Array.from({ length: 12 }, (_, r) => out[2 * r])
  expect(order).toEqual([0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11])
  expect(out.every((value, i) => value === out[i & ~1])).toBe(true)
})
