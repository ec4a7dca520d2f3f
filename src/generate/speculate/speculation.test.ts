// How much guessing pays.
import { describe, expect, test } from 'vitest'
import { bestLength, type GuessCost, guessCost } from './speculation.ts'

/** Tokens per time with `k` guesses, from the definition. */
function rate(k: number, { start, each }: GuessCost, chance: (i: number) => number): number {
  let tokens = 0
  for (let right = 0; right <= k; right++) {
    let all = 1
    for (let i = 0; i < right; i++) all *= chance(i)
    tokens += all
  }
  return tokens / (1 + (k > 0 ? start : 0) + each * k)
}

describe('the number of guesses', () => {
  test('is the one with the most tokens per time, for chances that rise, fall or stay', () => {
    let longest = 0
    for (const cost of [
      { start: 0, each: 0.02 },
      { start: 0, each: 0.3 },
      { start: 0.5, each: 0.1 },
      { start: 0.3, each: 0.35 },
    ])
      for (const first of [0, 0.1, 0.4, 0.7, 0.95, 1])
        for (const slope of [-0.05, 0, 0.04]) {
          const chance = (i: number) => Math.min(1, Math.max(0, first + slope * i))
          const rates = Array.from({ length: 13 }, (_, k) => rate(k, cost, chance))
          const best = bestLength(12, cost, chance)
          expect(rates[best]).toBeCloseTo(Math.max(...rates), 12)
          longest = Math.max(longest, best)
        }
    expect(longest).toBe(12)
  })

  test('is none if a guess is right less often than it costs', () => {
    expect(bestLength(16, { start: 0, each: 0.35 }, () => 0.34)).toBe(0)
    expect(bestLength(16, { start: 0, each: 0.35 }, () => 0.36)).toBe(1)
    expect(bestLength(1, { start: 0.2, each: 0.35 }, () => 0.5)).toBe(0)
  })

  test('falls when other sequences share the pass', () => {
    const lengths = [1, 2, 4, 8].map((sequences) =>
      bestLength(16, guessCost(sequences), () => 0.85),
    )
    expect(lengths).toEqual([...lengths].sort((a, b) => b - a))
    expect(lengths[0]).toBeGreaterThan(lengths[3])
    expect(guessCost(1000).each).toBeLessThan(1)
  })
})
