// Keeping or replacing guesses must give the wanted distribution, whatever the guesses came from.
import { describe, expect, test } from 'vitest'
import { Random } from '../sample/random.ts'
import { checkGuess, type Distribution, pickByWeight } from './guess-check.ts'

function distribution(weights: Readonly<Record<number, number>>): Distribution {
  return {
    ids: Int32Array.from(Object.keys(weights), Number),
    weights: Float64Array.from(Object.values(weights)),
  }
}

function shareOf({ ids, weights }: Distribution, id: number): number {
  const at = ids.indexOf(id)
  return at < 0 ? 0 : weights[at] / weights.reduce((a, b) => a + b)
}

describe('a guess that was drawn', () => {
  const wanted = distribution({ 2: 30, 3: 5, 7: 40, 11: 20, 12: 5 })

  test.each([
    ['likes other tokens', distribution({ 2: 5, 3: 20, 7: 10, 11: 1, 12: 4 })],
    ['knows only some of the tokens', distribution({ 3: 1, 7: 3 })],
    ['knows tokens that are not wanted', distribution({ 1: 5, 2: 3, 7: 2, 100: 6 })],
    ['knows nothing that is wanted', distribution({ 0: 1, 5: 1 })],
    ['is right about everything', distribution({ 2: 60, 3: 10, 7: 80, 11: 40, 12: 10 })],
  ])('changes no probability if its source %s', (_, from) => {
    const guesses = new Random(1)
    const random = new Random(2)
    const draws = 50_000
    const counts = new Map<number, number>()
    let kept = 0
    for (let i = 0; i < draws; i++) {
      const guess = pickByWeight(from, guesses.nextFloat())
      const id = checkGuess(guess, from, wanted, random)
      counts.set(id, (counts.get(id) ?? 0) + 1)
      if (id === guess) kept++
    }
    let chiSquare = 0
    let overlap = 0
    for (const id of wanted.ids) {
      const expected = draws * shareOf(wanted, id)
      chiSquare += ((counts.get(id) ?? 0) - expected) ** 2 / expected
      overlap += Math.min(shareOf(wanted, id), shareOf(from, id))
    }
    // 4 degrees of freedom: a right check exceeds 18.5 once in a thousand seeds.
    expect(chiSquare).toBeLessThan(18.5)
    expect([...counts.keys()].every((id) => wanted.ids.includes(id))).toBe(true)
    // The paper's acceptance rate, the sum of min(p, q), within four standard deviations.
    const spread = 4 * Math.sqrt((overlap * (1 - overlap)) / draws)
    expect(Math.abs(kept / draws - overlap)).toBeLessThanOrEqual(spread)
  })

  test('always stays if both agree, also where sums round', () => {
    const thirds = distribution({ 0: 1, 1: 1, 2: 1 })
    const random = new Random(3)
    for (let i = 0; i < 1000; i++) {
      expect(checkGuess(i % 3, thirds, distribution({ 0: 7, 1: 7, 2: 7 }), random)).toBe(i % 3)
    }
  })
})
