/** Dense products against float64, within what float32 sums and the int8 split may lose. */

import { describe, expect, test } from 'vitest'
import type { DenseType } from '../storage.ts'
import { Seeded } from '../testing/conformance-cases.ts'
import { packDense, unpackDense } from './layout.ts'
import { denseMatmul } from './reference.ts'

const types: readonly DenseType[] = ['f32', 'f16', 'int8']
const EPS = 2 ** -24

describe.each(types)('%s', (type) => {
  test.each([
    [1, 1, 1],
    [17, 5, 3],
    [33, 300, 2],
  ])('%i x %i for %i tokens is W x', (rows, cols, tokens) => {
    const seeded = new Seeded(rows * cols)
    const packed = packDense(type, seeded.floats(rows * cols), rows, cols)
    const weights = unpackDense(packed)
    const x = seeded.floats(tokens * cols)
    const out = new Float32Array(tokens * rows)
    denseMatmul(out, x, packed, tokens, { accumulate: false })
    for (let i = 0; i < out.length; i++) {
      const token = Math.floor(i / rows)
      const row = i % rows
      let exact = 0
      let magnitude = 0
      let weightSum = 0
      for (let c = 0; c < cols; c++) {
        const w = weights[row * cols + c]
        exact += w * x[token * cols + c]
        magnitude += Math.abs(w * x[token * cols + c])
        weightSum += Math.abs(w)
      }
      // Each float32 sum of n terms loses at most n eps of the magnitude, an f16 activation half a unit
      // of its 13th bit; each int8 activation is off by half a step of 1 / 32512 of the largest, which
      // is at most 1.
      const rounding = ((cols + 8) * EPS + (type === 'f16' ? 2 ** -13 : 0)) * magnitude
      const step = type === 'int8' ? (weightSum * 0.5001) / 32512 : 0
      expect(Math.abs(out[i] - exact)).toBeLessThanOrEqual(rounding + step)
    }
  })
})

test('f32 sums columns in order, each step rounded', () => {
  // 2^24 swallows the first 1; in any other order the result would be 1 or 2.
  const packed = packDense('f32', Float32Array.of(2 ** 24, 1, -(2 ** 24)), 1, 3)
  const out = new Float32Array(1)
  denseMatmul(out, Float32Array.of(1, 1, 1), packed, 1, { accumulate: false })
  expect(out[0]).toBe(0)
})

test('f16 multiplies activations of 13 bits, f32 whole ones', () => {
  // Half of the 13th bit's unit beyond 1, and a little more: down to 1 and up to 1 + 2^-12.
  const x = Float32Array.of(1 + 2 ** -13, 1 + 2 ** -13 + 2 ** -23)
  const products = types.slice(0, 2).map((type) => {
    const out = new Float32Array(2)
    denseMatmul(out, x, packDense(type, Float32Array.of(3), 1, 1), 2, { accumulate: false })
    return [...out]
  })
  expect(products).toEqual([[...x.map((value) => 3 * value)], [3, 3 + 3 * 2 ** -12]])
})

test('int8 multiplies sixteen-bit activations exactly', () => {
  // Row maximum 127, so codes are the weights; x maximum 32512, so v is x itself.
  const packed = packDense('int8', Float32Array.of(127, -3, 5), 1, 3)
  const x = Float32Array.of(32512, 1001, -129)
  const out = Float32Array.of(10)
  denseMatmul(out, x, packed, 1, { accumulate: true })
  expect(out[0]).toBe(10 + 127 * 32512 - 3 * 1001 - 5 * 129)
})
