/** The shared float32 pieces against float64. */
import { describe, expect, test } from 'vitest'
import { float16Table } from './float16.ts'
import { exp32, log32, shortFloat, sumLanes } from './float32.ts'

describe('exp32', () => {
  test('stays within a relative error of 2e-7 over its whole range', () => {
    let worst = 0
    for (let i = 0; i <= 700_000; i++) {
      const x = Math.fround(-87 + i * 0.00025)
      const exact = Math.exp(x)
      worst = Math.max(worst, Math.abs(exp32(x) - exact) / exact)
    }
    expect(worst).toBeLessThan(2e-7)
  })

  test('is exactly one at zero of either sign', () => {
    expect(exp32(0)).toBe(1)
    expect(exp32(-0)).toBe(1)
  })

  test('clamps what float32 cannot hold to the ends of its range', () => {
    expect(exp32(-1e30)).toBe(exp32(-87))
    expect(exp32(1e30)).toBe(exp32(88))
    expect(exp32(-Infinity)).toBeGreaterThan(0)
    expect(exp32(Infinity)).toBeLessThan(Infinity)
  })
})

test('log32 stays within 2e-7 of the logarithm, and is 0 at 1', () => {
  for (let i = -126; i < 127; i++) {
    for (const part of [1, 1.25, 1.41421354, 1.41421366, 1.75, 1.9999999]) {
      const x = Math.fround(part * 2 ** i)
      expect(Math.abs(log32(x) - Math.log(x))).toBeLessThan(
        2e-7 * Math.max(1, Math.abs(Math.log(x))),
      )
    }
  }
  expect(log32(1)).toBe(0)
})

describe('shortFloat', () => {
  test('keeps 13 bits, nearest with ties to even, of either sign', () => {
    const step = 2 ** -12
    for (const sign of [1, -1]) {
      expect(shortFloat(sign * (1 + step))).toBe(sign * (1 + step))
      expect(shortFloat(sign * (1 + step / 2))).toBe(sign)
      expect(shortFloat(sign * (1 + 1.5 * step))).toBe(sign * (1 + 2 * step))
      expect(shortFloat(Math.fround(sign * (1 + step / 2 + 2 ** -23)))).toBe(sign * (1 + step))
      expect(shortFloat(Math.fround(sign * (2 - 2 ** -23)))).toBe(sign * 2)
    }
  })

  test('makes products with every finite half exact in float32', () => {
    for (const x of [1.2345678, -3.1e-30, 2 ** -100, 7.7e25, 2 ** 112 - 2 ** 88]) {
      const short = shortFloat(Math.fround(x))
      for (const half of float16Table()) {
        if (Number.isFinite(half)) expect(Math.fround(short * half)).toBe(short * half)
      }
    }
  })

  test('is zero or infinite where a product could leave float32, and keeps infinities and NaN', () => {
    expect(shortFloat(2 ** -100)).toBe(2 ** -100)
    expect(shortFloat(Math.fround(0.999 * 2 ** -100))).toBe(0)
    expect(shortFloat(2 ** 112 - 2 ** 88)).toBe(2 ** 112)
    expect(shortFloat(2 ** 112)).toBe(Infinity)
    expect(shortFloat(-(2 ** 112))).toBe(-Infinity)
    expect(shortFloat(Infinity)).toBe(Infinity)
    expect(shortFloat(-Infinity)).toBe(-Infinity)
    expect(shortFloat(Number.NaN)).toBeNaN()
  })
})

describe('sumLanes', () => {
  test('adds lanes eight apart first, then four, two and one', () => {
    // 2^24 + 1 is not a float32: the one survives only if 2^24 and -2^24 meet before it joins them.
    const lanes = new Float32Array(16)
    lanes[0] = 2 ** 24
    lanes[8] = -(2 ** 24)
    lanes[1] = 1
    expect(sumLanes(lanes.slice())).toBe(1)
    lanes[8] = 0
    lanes[4] = -(2 ** 24)
    expect(sumLanes(lanes.slice())).toBe(1)
    lanes[4] = 0
    lanes[1] = -(2 ** 24)
    lanes[8] = 1
    expect(sumLanes(lanes)).toBe(0)
  })
})
