import { describe, expect, test } from 'vitest'
import { FormatError } from '../errors.ts'
import { compareMeasurements, measurementsOf } from './result-comparison.ts'
import { ratioOf, type Summary, summarize } from './statistics.ts'

function around(mean: number, standardDeviation = 0): Summary {
  return { mean, standardDeviation, min: mean, max: mean }
}

function tests(speeds: Record<string, Summary>): unknown {
  const entries = Object.entries(speeds)
  return { tests: entries.map(([name, tokensPerSecond]) => ({ name, tokensPerSecond })) }
}

test('summarize gives mean and sample standard deviation', () => {
  expect(summarize([2, 4, 4, 4, 5, 5, 7, 9])).toMatchObject({ mean: 5, min: 2, max: 9 })
  expect(summarize([2, 4, 4, 4, 5, 5, 7, 9]).standardDeviation).toBeCloseTo(Math.sqrt(32 / 7), 12)
  expect(summarize([3])).toEqual({ mean: 3, standardDeviation: 0, min: 3, max: 3 })
})

test('the spread of a ratio comes from both', () => {
  const { ratio, standardDeviation } = ratioOf(around(10, 0.3), around(20, 0.8))
  expect(ratio).toBe(2)
  expect(standardDeviation).toBeCloseTo(2 * Math.hypot(0.03, 0.04), 12)
})

describe('comparing two results', () => {
  test('gives the speedup of each test that both have, and names the others', () => {
    const a = measurementsOf(tests({ pp512: around(100), tg128: around(20), old: around(1) }), 'a')
    const b = measurementsOf(tests({ tg128: around(30), pp512: around(90), new: around(1) }), 'b')
    const { compared, onlyA, onlyB } = compareMeasurements(a, b)
    expect(compared.map(({ name, speedup }) => [name, speedup])).toEqual([
      ['pp512', 0.9],
      ['tg128', 1.5],
    ])
    expect(onlyA).toEqual(['old'])
    expect(onlyB).toEqual(['new'])
  })

  test('a difference within twice its spread is not clear', () => {
    const a = measurementsOf(tests({ near: around(100, 3), far: around(100, 3) }), 'a')
    const b = measurementsOf(tests({ near: around(108, 3), far: around(110, 3) }), 'b')
    expect(compareMeasurements(a, b).compared.map(({ isClear }) => isClear)).toEqual([false, true])
  })

  test('of times, half is twice as fast', () => {
    const kernels = (us: number) => ({ kernels: [{ name: 'down', microseconds: around(us) }] })
    const { compared } = compareMeasurements(
      measurementsOf(kernels(50), 'a'),
      measurementsOf(kernels(25), 'b'),
    )
    expect(compared[0]).toMatchObject({ unit: 'us', speedup: 2 })
  })

  test('results of whole generations are compared too', () => {
    const result = {
      tokensPerSecond: around(5),
      prefillTokensPerSecond: around(6),
      decodeTokensPerSecond: around(7),
    }
    expect(measurementsOf(result, 'a').map(({ name }) => name)).toEqual([
      'throughput',
      'prefill',
      'decode',
    ])
  })
})

test.each([
  [null, 'first value'],
  [[], 'first value'],
  [{}, 'tokensPerSecond'],
  [{ tests: {} }, 'tests'],
  [{ tests: [] }, 'tests'],
  [{ tests: [3] }, 'tests[0]'],
  [{ tests: [{ name: 3, tokensPerSecond: around(1) }] }, 'tests[0].name'],
  [tests({ a: around(1), b: around(Number.NaN) }), 'tests[1].tokensPerSecond'],
  [tests({ a: around(0) }), 'tests[0].tokensPerSecond'],
  [tests({ a: around(1, -1) }), 'tests[0].tokensPerSecond'],
  [{ kernels: [{ name: 'a' }] }, 'kernels[0].microseconds'],
])('%j is no result, and the message names its %s', (value, field) => {
  expect(() => measurementsOf(value, 'b.json')).toThrow(FormatError)
  expect(() => measurementsOf(value, 'b.json')).toThrow(`b.json to be the output of bitnet bench`)
  expect(() => measurementsOf(value, 'b.json')).toThrow(`"${field}"`)
})
