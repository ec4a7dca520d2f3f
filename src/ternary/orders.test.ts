/** The orders for products that leave parts out: the places that orders.ts promises, and nothing lost. */
import { describe, expect, test } from 'vitest'
import {
  columnsByteLength,
  inStripes,
  packBase3,
  packColumns,
  packGatedRows,
  packTernary,
} from './index.ts'

/** Codes that repeat with a period no layout has. */
function codesOf(count: number): Int8Array {
  return Int8Array.from({ length: count }, (_, i) => (((i * 7) % 11) % 3) - 1)
}

describe.each([
  [1, 1],
  [255, 17],
  [257, 16],
  [300, 33],
])('columns of %i x %i', (rows, cols) => {
  const codes = codesOf(rows * cols)
  const bytes = new Uint8Array(columnsByteLength(rows, cols)).fill(255)

  test('are the same matrix, whatever their bytes held, in pieces', () => {
    const half = rows >> 1
    packColumns({ rows, cols, bytes }, codes.subarray(0, half * cols), half, 0)
    packColumns({ rows, cols, bytes }, codes.subarray(half * cols), rows - half, half)
    expect(inStripes({ rows, cols, bytes }, 'columns')).toEqual(packTernary(codes, rows, cols))
  })
})

test('a column is a line: byte b has the rows b, 64 + b, 128 + b and 192 + b', () => {
  const codes = new Int8Array(257 * 3).fill(-1)
  codes[(128 + 5) * 3 + 2] = 1
  codes[256 * 3 + 1] = 0
  const bytes = new Uint8Array(columnsByteLength(257, 3))
  packColumns({ rows: 257, cols: 3, bytes }, codes, 257, 0)
  expect(bytes[2 * 64 + 5]).toBe(2 << 4)
  expect(bytes[3 * 64 + 64]).toBe(1 | (1 << 2) | (1 << 4) | (1 << 6))
  expect(bytes[3 * 64 + 65]).toBe(1 | (1 << 2) | (1 << 4) | (1 << 6))
})

test.each(['2bit', 'base3'] as const)('gated rows at %s are the same matrix', (packing) => {
  const [rows, cols] = [64, 45]
  const codes = codesOf(rows * cols)
  const striped = (packing === 'base3' ? packBase3 : packTernary)(codes, rows, cols)
  const bytes = new Uint8Array(striped.bytes.length)
  packGatedRows({ rows, cols, bytes }, codes, rows, 0, packing)
  expect(bytes).not.toEqual(striped.bytes)
  expect(bytes.subarray(0, bytes.length / 2)).toEqual(striped.bytes.subarray(0, bytes.length / 2))
  expect(inStripes({ rows, cols, bytes }, 'gated', packing)).toEqual(striped)
})

test('a row of the second half follows itself, word by word', () => {
  const codes = new Int8Array(32 * 48)
  codes[17 * 48 + 16] = 1
  const bytes = new Uint8Array((32 * 48) / 4)
  packGatedRows({ rows: 32, cols: 48, bytes }, codes, 32, 0)
  expect(bytes[(17 * 3 + 1) * 4]).toBe(0b01010110)
})
