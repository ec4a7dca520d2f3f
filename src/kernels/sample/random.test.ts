/** Random numbers: published outputs of Philox, and the distribution of tokens' numbers. */
import { describe, expect, test } from 'vitest'
import { exponential, type FourWords, philox, positionKey } from './random.ts'

describe('philox', () => {
  // The known answers that come with the authors' library (Random123, kat_vectors).
  test.each<[FourWords, readonly [number, number], FourWords]>([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('of %j under %j', (counter, key, expected) => {
    expect(philox(counter, key)).toEqual(expected)
  })
})

describe('the number of a token', () => {
  test('follows from all of seed, sequence, position and token', () => {
    const numbers = new Set(
      [
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
      ].flatMap(([low, high, sequence, position]) =>
        [0, 1, 128_000].map((token) =>
          exponential(token, positionKey([low, high], sequence, position)),
        ),
      ),
    )
    expect(numbers.size).toBe(15)
  })

  test('is exponentially distributed, over tokens and over positions', () => {
    const bins = 64
    const draws = 128_000
    for (const numberOf of [
      (i: number) => exponential(i, [1, 2]),
      (i: number) => exponential(7, positionKey([3, 0], 0, i)),
      (i: number) => exponential(i & 31, positionKey([3, 0], i >> 10, i >> 5)),
    ]) {
      const counts = new Float64Array(bins)
      for (let i = 0; i < draws; i++) {
        counts[Math.min(bins - 1, Math.floor((1 - Math.exp(-numberOf(i))) * bins))]++
      }
      let chiSquare = 0
      for (const count of counts) chiSquare += (count - draws / bins) ** 2 / (draws / bins)
      // 63 degrees of freedom: one of a thousand right generators exceeds 103.4.
      expect(chiSquare).toBeLessThan(104)
    }
  })

  test('keeps its small values apart and stays within its bounds', () => {
    let least = Number.POSITIVE_INFINITY
    let most = 0
    const seen = new Set<number>()
    for (let token = 0; token < 2_000_000; token++) {
      const number = exponential(token, [5, 6])
      least = Math.min(least, number)
      most = Math.max(most, number)
      if (number < 1e-3) seen.add(number)
    }
    expect(least).toBeGreaterThanOrEqual(2 ** -32)
    expect(least).toBeLessThan(1e-5)
    expect(most).toBeGreaterThan(11)
    expect(most).toBeLessThan(23)
    expect(seen.size).toBeGreaterThan(1900)
  })
})
