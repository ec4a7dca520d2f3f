// Random numbers: known outputs, seeds, and evenness.
import { describe, expect, test } from 'vitest'
import { freshSeed, Random, seedAt } from './random.ts'

describe('Random', () => {
  test('gives what the C program of xoshiro128** 1.1 gives from the state 1, 2, 3, 4', () => {
    const random = Random.fromState(1, 2, 3, 4)
    const outputs = Array.from({ length: 10 }, () => random.nextUint32())
    expect(outputs).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597,
      4258142804,
    ])
  })

  test('repeats itself for equal seeds and not for seeds that differ in any of 53 bits', () => {
    const first = (seed: number) => {
      const random = new Random(seed)
      return [random.nextUint32(), random.nextUint32(), random.nextUint32()].join()
    }
    expect(first(42)).toBe(first(42))
    const seen = new Set([first(0)])
    for (let bit = 0; bit < 53; bit++) seen.add(first(2 ** bit))
    expect(seen.size).toBe(54)
  })

  test('keeps giving the same numbers for a seed from one release to the next', () => {
    const random = new Random(1)
    expect([random.nextUint32(), random.nextUint32()]).toEqual([2864718319, 2755348042])
  })

  test('spreads floats evenly over [0, 1)', () => {
    const random = new Random(7)
    const bins = new Float64Array(64)
    const draws = 64_000
    for (let i = 0; i < draws; i++) {
      const u = random.nextFloat()
      bins[Math.floor(u * 64)]++
    }
    expect(bins.reduce((a, b) => a + b)).toBe(draws) // a float outside [0, 1) falls in no bin
    let chiSquare = 0
    for (const n of bins) chiSquare += (n - 1000) ** 2 / 1000
    // 63 degrees of freedom: 0.1 % of fair generators exceed 103.4; 0.1 % stay below 33.
    expect(chiSquare).toBeLessThan(104)
    expect(chiSquare).toBeGreaterThan(30)
  })
})

describe('seeds', () => {
  test('that are fresh are integers of 32 bits and differ', () => {
    const seeds = new Set(Array.from({ length: 16 }, freshSeed))
    expect(seeds.size).toBeGreaterThan(12)
    for (const seed of seeds)
      expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true)
  })

  test('of neighbouring sequences wrap within the safe integers', () => {
    expect(seedAt(5, 3)).toBe(8)
    expect(seedAt(Number.MAX_SAFE_INTEGER, 0)).toBe(Number.MAX_SAFE_INTEGER)
    expect(seedAt(Number.MAX_SAFE_INTEGER - 1, 3)).toBe(1)
  })
})
