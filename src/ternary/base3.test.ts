/** The 1.6-bit layout: its place for every weight, and that nothing is lost. */
import { describe, expect, test } from 'vitest'
import { ShapeError } from '../errors.ts'
import { base3ByteLength, packBase3, packBase3Rows, unpackBase3 } from './index.ts'

/** Codes that repeat with a period no layout has. */
function codesOf(count: number): Int8Array {
  return Int8Array.from({ length: count }, (_, i) => (((i * 7) % 11) % 3) - 1)
}

describe.each([
  [1, 1],
  [16, 20],
  [17, 19],
  [33, 41],
])('a matrix of %i x %i', (rows, cols) => {
  test('comes back unchanged', () => {
    const codes = codesOf(rows * cols)
    const packed = packBase3(codes, rows, cols)
    expect(packed.bytes.length).toBe(base3ByteLength(rows, cols))
    expect(unpackBase3(packed)).toEqual(codes)
  })
})

test('columns 4p + j of a row are the digits of byte j of its lane', () => {
  const codes = new Int8Array(2 * 20).fill(-1)
  codes[20 + 16 + 3] = 1 // row 1, column 19: p = 4, j = 3
  codes[20 + 4 + 2] = 0 // row 1, column 6: p = 1, j = 2
  const { bytes } = packBase3(codes, 2, 20)
  expect(bytes[4 + 3]).toBe(2 * 81)
  expect(bytes[4 + 2]).toBe(3)
  expect(bytes[4]).toBe(0)
})

test('columns past the end are 0 and rows past the end weigh nothing', () => {
  const { bytes } = packBase3(Int8Array.of(1), 1, 1)
  expect([...bytes.subarray(0, 4)]).toEqual([2, 0, 0, 0])
  expect(bytes.subarray(4).every((byte) => byte === 121)).toBe(true)
})

test('pieces make the same matrix, over whatever its bytes held before', () => {
  const codes = codesOf(21 * 33)
  const pieces = { rows: 21, cols: 33, bytes: new Uint8Array(base3ByteLength(21, 33)).fill(255) }
  packBase3Rows(pieces, codes.subarray(0, 5 * 33), 5, 0)
  packBase3Rows(pieces, codes.subarray(5 * 33), 16, 5)
  expect(pieces.bytes).toEqual(packBase3(codes, 21, 33).bytes)
})

test('packing refuses codes of another count', () => {
  expect(() => packBase3(new Int8Array(5), 2, 3)).toThrow(ShapeError)
})
