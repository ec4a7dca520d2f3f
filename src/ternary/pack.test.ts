/** The packed layout: round trips, the bit places that pack.ts promises, and padding. */
import { describe, expect, test } from 'vitest'
import { ShapeError } from '../errors.ts'
import {
  packedByteLength,
  packRows,
  packTernary,
  padToTile,
  stripeByteLength,
  unpackTernary,
  weightAt,
} from './index.ts'

/** -1, 0, +1 in an order without a period that a tile could hide. */
function codesOf(count: number): Int8Array {
  return Int8Array.from({ length: count }, (_, i) => ((i * i + (i >> 3)) % 3) - 1)
}

describe('padToTile', () => {
  test.each([
    [0, 0],
    [1, 16],
    [15, 16],
    [16, 16],
    [17, 32],
    [2560, 2560],
  ])('pads %i to %i', (n, padded) => {
    expect(padToTile(n)).toBe(padded)
  })
})

describe.each([
  [1, 1],
  [1, 16],
  [16, 1],
  [15, 17],
  [16, 16],
  [17, 15],
  [33, 47],
  [48, 160],
])('a matrix of %i x %i', (rows, cols) => {
  const codes = codesOf(rows * cols)
  const packed = packTernary(codes, rows, cols)

  test('comes back unchanged', () => {
    expect(unpackTernary(packed)).toEqual(codes)
  })

  test('takes two bits a weight of its padded size', () => {
    expect(packed.bytes.byteLength).toBe((padToTile(rows) * padToTile(cols)) / 4)
    expect(packedByteLength(rows, cols)).toBe(packed.bytes.byteLength)
    expect(stripeByteLength(cols) * (padToTile(rows) / 16)).toBe(packed.bytes.byteLength)
  })

  test('is padded with weight 0', () => {
    const whole = { ...packed, rows: padToTile(rows), cols: padToTile(cols) }
    const inside = codes.reduce((sum, code) => sum + Math.abs(code), 0)
    const all = unpackTernary(whole).reduce((sum, code) => sum + Math.abs(code), 0)
    expect(all).toBe(inside)
  })
})

describe('the layout', () => {
  test('puts column 4p + j of row r in bits 2p of byte 4r + j', () => {
    for (const [row, col] of [
      [0, 0],
      [0, 5],
      [3, 14],
      [15, 15],
    ]) {
      const codes = new Int8Array(256)
      codes[row * 16 + col] = 1
      const expected = new Uint8Array(64).fill(0b01010101)
      const byte = row * 4 + (col % 4)
      expected[byte] += 1 << (2 * Math.floor(col / 4)) // code 1 becomes 2
      expect(packTernary(codes, 16, 16).bytes).toEqual(expected)
    }
  })

  test('runs tiles along the columns first, then to the next sixteen rows', () => {
    const at = (row: number, col: number) => {
      const codes = new Int8Array(32 * 48)
      codes[row * 48 + col] = -1
      return packTernary(codes, 32, 48).bytes.findIndex((byte) => byte !== 0b01010101)
    }
    expect(at(0, 16)).toBe(64)
    expect(at(0, 32)).toBe(128)
    expect(at(16, 0)).toBe(192)
    expect(at(31, 47)).toBe(6 * 64 - 1)
  })
})

test('a matrix built piece by piece, over whatever its bytes held, is the same matrix', () => {
  const codes = codesOf(37 * 20)
  const whole = packTernary(codes, 37, 20)
  const pieces = { rows: 37, cols: 20, bytes: new Uint8Array(whole.bytes.length).fill(0xff) }
  for (const [first, end] of [
    [0, 3],
    [3, 19],
    [19, 37],
  ]) {
    packRows(pieces, codes.subarray(first * 20, end * 20), end - first, first)
  }
  expect(pieces.bytes).toEqual(whole.bytes)
})

test('single weights are read from their place', () => {
  const codes = codesOf(17 * 33)
  const packed = packTernary(codes, 17, 33)
  expect(weightAt(packed, 16, 32)).toBe(codes[16 * 33 + 32])
  expect(weightAt(packed, 2, 30)).toBe(codes[2 * 33 + 30])
})

test('packing refuses codes of another count, naming both counts', () => {
  expect(() => packTernary(new Int8Array(5), 2, 3)).toThrow(ShapeError)
  expect(() => packTernary(new Int8Array(5), 2, 3)).toThrow('2 x 3 = 6 codes, got 5')
})
