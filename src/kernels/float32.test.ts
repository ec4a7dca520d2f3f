/** The shared float32 pieces against float64. */
import { describe, expect, test } from 'vitest'
import { exp32, sumLanes } from './float32.ts'

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
