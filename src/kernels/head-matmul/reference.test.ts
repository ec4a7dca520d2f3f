/** The head's product: what is near, how near, and what is exact. */
import { describe, expect, test } from 'vitest'
import { int8At, type PackedDense, packDense } from '../dense-matmul/layout.ts'
import { denseMatmul } from '../dense-matmul/reference.ts'
import { bitnet2b4t, Seeded } from '../testing/conformance-cases.ts'
import { headMatmul } from './reference.ts'

const ROWS = 640
const COLS = 96

function matrices(
  seed: number,
  rows = ROWS,
  cols = COLS,
): { int8: PackedDense; int4: PackedDense } {
  const values = new Seeded(seed).floats(rows * cols, 0.1)
  return {
    int8: packDense('int8', values, rows, cols),
    int4: packDense('int4', values, rows, cols),
  }
}

function products(seed: number, exactStripes: number, tokens = 1) {
  const { int8, int4 } = matrices(seed)
  const x = new Seeded(seed + 1).floats(tokens * COLS, 4)
  const exact = new Float32Array(tokens * ROWS)
  denseMatmul(exact, x, int8, tokens, { accumulate: false })
  const near = new Float32Array(tokens * ROWS)
  headMatmul(near, x, int4, tokens, exactStripes)
  return { exact, near, x, scales: int8.scales ?? new Float32Array(0) }
}

/** Rows by their result, largest first. */
function order(y: Float32Array): number[] {
  return [...y.keys()].sort((a, b) => y[b] - y[a])
}

test('with all stripes exact it is the int8 product, bit for bit', () => {
  for (const exactStripes of [ROWS / 16, 1000]) {
    const { exact, near } = products(3, exactStripes, 3)
    expect(near).toEqual(exact)
  }
})

test('the stripes of the largest near results are exact, and only they', () => {
  const { near: allNear } = products(5, 1)
  const { exact, near } = products(5, 6)
  const stripes = [...new Set(order(allNear).map((row) => row >> 4))]
  for (let row = 0; row < ROWS; row++) {
    const isExact = stripes.indexOf(row >> 4) < 6
    expect(near[row] === exact[row], `row ${row}`).toBe(isExact)
  }
})

test('a near result is off by the weights and activations that were left out, without a bias', () => {
  const errors: number[] = []
  for (let seed = 0; seed < 20; seed++) {
    const { exact, near, x, scales } = products(seed, 1)
    const norm = Math.hypot(...x)
    const best = order(near)[0] >> 4
    for (let row = 0; row < ROWS; row++) {
      if (row >> 4 !== best) errors.push((near[row] - exact[row]) / (scales[row] * norm))
    }
  }
  const mean = errors.reduce((sum, e) => sum + e, 0) / errors.length
  const deviation = Math.sqrt(errors.reduce((sum, e) => sum + e * e, 0) / errors.length)
  // 16 / sqrt(12) for nibbles that are uniform, and what rounding activations to 8 bits adds.
  expect(deviation).toBeGreaterThan(4.5)
  expect(deviation).toBeLessThan(4.9)
  expect(Math.abs(mean)).toBeLessThan((4 * deviation) / Math.sqrt(errors.length))
})

describe('of rows of 2,560 columns', () => {
  test('the best of 4,096 and the next 39 are those of int8 with a quarter of the stripes exact', () => {
    const { dim, vocabSlice } = bitnet2b4t
    const { int8, int4 } = matrices(11, vocabSlice, dim)
    const x = new Seeded(12).floats(dim, 4)
    const exact = new Float32Array(vocabSlice)
    denseMatmul(exact, x, int8, 1, { accumulate: false })
    const near = new Float32Array(vocabSlice)
    headMatmul(near, x, int4, 1, vocabSlice / 16 / 4)
    const best = order(exact).slice(0, 40)
    expect(order(near).slice(0, 40)).toEqual(best)
    for (const row of best) expect(near[row]).toBe(exact[row])
  })
})

test('among equal maxima the stripes of lower index are exact', () => {
  const values = new Seeded(7).floats(16 * COLS, 0.1)
  const repeated = new Float32Array(5 * values.length)
  for (let i = 0; i < 5; i++) repeated.set(values, i * values.length)
  const x = new Seeded(8).floats(COLS, 4)
  const y = new Float32Array(80)
  headMatmul(y, x, packDense('int4', repeated, 80, COLS), 1, 2)
  expect(y.subarray(16, 32)).toEqual(y.subarray(0, 16))
  expect(y.subarray(48, 64)).toEqual(y.subarray(32, 48))
  expect(y.subarray(32, 48)).not.toEqual(y.subarray(16, 32))
})

test('int4 holds every int8 weight', () => {
  const { int8, int4 } = matrices(9, 37, 21)
  for (let row = 0; row < 37; row++) {
    for (let c = 0; c < 21; c++) expect(int8At(int4, row, c)).toBe(int8At(int8, row, c))
  }
})
