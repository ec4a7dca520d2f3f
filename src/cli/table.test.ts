import { expect, test } from 'vitest'
import { formatBytes, formatCount, formatMilliseconds, summarize } from './quantities.ts'
import { formatFacts, formatTable, stackedBar } from './table.ts'

test('a table aligns its columns and has no trailing spaces', () => {
  expect(
    formatTable(
      ['a', 'long name'],
      [
        ['x', '1'],
        ['yyy', '22'],
      ],
      [1],
    ),
  ).toEqual(['a    long name', '---  ---------', 'x            1', 'yyy         22'])
})

test('facts have their values in one column', () => {
  expect(
    formatFacts([
      ['a', '1'],
      ['bcd', '2'],
    ]),
  ).toEqual(['a    1', 'bcd  2'])
})

test('a bar has its full width whatever the shares round to', () => {
  expect(stackedBar([1 / 3, 1 / 3, 1 / 3], ['-', '.', '+'], 10)).toBe('---....+++')
  expect(stackedBar([0, 1, 0], ['-', '.', '+'], 4)).toBe('....')
})

test('quantities carry their units', () => {
  expect([0, 999, 1000, 117_600_000, 1.2e9].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '117.6 MB',
    '1.2 GB',
  ])
  expect([999, 12_345, 58_800_000].map(formatCount)).toEqual(['999', '12,345', '58.8 M'])
  expect([0.25, 1250].map(formatMilliseconds)).toEqual(['0.3 ms', '1.25 s'])
})

test('a summary has the sample standard deviation, 0 for a single value', () => {
  expect(summarize([2, 4, 4, 4, 5, 5, 7, 9])).toMatchObject({ mean: 5, min: 2, max: 9 })
  expect(summarize([2, 4, 4, 4, 5, 5, 7, 9]).standardDeviation).toBeCloseTo(Math.sqrt(32 / 7), 12)
  expect(summarize([3])).toEqual({ mean: 3, standardDeviation: 0, min: 3, max: 3 })
})
