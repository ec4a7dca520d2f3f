/** The papers' quantisers against values worked out by hand. */
import { describe, expect, test } from 'vitest'
import {
  absmaxQuantize,
  absmeanCodes,
  absmeanQuantize,
  roundHalfEven,
  SCALE_FLOOR,
  signQuantize,
} from './index.ts'

describe('roundHalfEven', () => {
  test.each([
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [-0.5, 0],
    [-1.5, -2],
    [-2.5, -2],
    [126.5, 126],
    [0.49999997, 0],
    [0.50000006, 1],
    [-127.50001, -128],
    [32511.5, 32512],
    [4194303, 4194303],
  ])('rounds %f to %i', (x, rounded) => {
    expect(roundHalfEven(Math.fround(x)) + 0).toBe(rounded)
  })
})

describe('absmeanQuantize', () => {
  test('scales by the mean magnitude and rounds to the nearest of -1, 0 and +1', () => {
    // mean|w| = (1 + 3 + 0.5 + 0.25 + 2 + 1.25) / 6 = 8 / 6
    const { codes, scale } = absmeanQuantize(Float32Array.of(1, -3, 0.5, -0.25, 2, -1.25))
    expect(scale).toBe(Math.fround(8 / 6))
    expect(codes).toEqual(Int8Array.of(1, -1, 0, 0, 1, -1))
  })

  test('rounds exactly half a scale to zero, which is the even neighbour', () => {
    // mean|w| = 2, so 1 and -1 are ties.
    expect(absmeanQuantize(Float32Array.of(1, -1, 3, -3)).codes).toEqual(Int8Array.of(0, 0, 1, -1))
  })

  test('gives zeros the floor as their scale', () => {
    const { codes, scale } = absmeanQuantize(new Float32Array(4))
    expect(scale).toBe(Math.fround(SCALE_FLOOR))
    expect(codes).toEqual(new Int8Array(4))
  })

  test('gives back a matrix that is ternary already', () => {
    const weights = Float32Array.of(0.5, 0, -0.5, 0.5, 0, -0.5)
    expect(absmeanQuantize(weights).codes).toEqual(Int8Array.of(1, 0, -1, 1, 0, -1))
  })

  test('can take its scale from outside', () => {
    const codes = new Int8Array(3)
    absmeanCodes(codes, Float32Array.of(0.4, 0.6, -5), 1)
    expect(codes).toEqual(Int8Array.of(0, 1, -1))
  })
})

describe('signQuantize', () => {
  test('takes the sign after the mean is off and scales by the mean magnitude', () => {
    // mean = 1, mean|w| = 2
    const { codes, scale } = signQuantize(Float32Array.of(4, -2, 1, 1))
    expect(codes).toEqual(Int8Array.of(1, -1, 0, 0))
    expect(scale).toBe(2)
  })

  test('puts weights of one sign on both sides of their mean', () => {
    expect(signQuantize(Float32Array.of(1, 2, 3, 6)).codes).toEqual(Int8Array.of(-1, -1, 0, 1))
  })
})

describe('absmaxQuantize', () => {
  test('takes the largest magnitude to 127 and rounds ties to even', () => {
    const { q, scale } = absmaxQuantize(Float32Array.of(-127, 0.5, 1.5, 2.5, -0.5, 63.4))
    expect(q).toEqual(Int8Array.of(-127, 0, 2, 2, 0, 63))
    expect(scale).toBe(1)
  })

  test('gives back x as q * scale within half a step', () => {
    const x = Float32Array.from({ length: 100 }, (_, i) => Math.sin(i) * 3)
    const { q, scale } = absmaxQuantize(x)
    for (let i = 0; i < x.length; i++) {
      expect(Math.abs(q[i] * scale - x[i])).toBeLessThanOrEqual(scale * 0.5001)
    }
  })

  test('keeps tokens of zeros, and of values below the floor, finite', () => {
    const zeros = absmaxQuantize(new Float32Array(3))
    expect(zeros.q).toEqual(new Int8Array(3))
    expect(zeros.scale).toBe(Math.fround(Math.fround(SCALE_FLOOR) / 127))
    expect(absmaxQuantize(Float32Array.of(1e-6, -2e-6)).q).toEqual(Int8Array.of(13, -25))
  })
})
