import { expect, test } from 'vitest'
import {
  formatByteRate,
  formatBytes,
  formatCount,
  formatJoules,
  formatMacRate,
  formatMilliseconds,
  formatSpread,
} from './quantities.ts'
import { formatFacts, formatResults, formatTable, stackedBar } from './table.ts'

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

test('a table has as many rows as a file has tensors', () => {
  const rows = Array.from({ length: 1 << 18 }, (_, i) => [`t${i}`])
  expect(formatTable(['tensor'], rows)).toHaveLength(
    rows.length + formatTable(['tensor'], []).length,
  )
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

test('rates, spreads and energies carry their units', () => {
  expect(formatByteRate(31.24e9)).toBe('31.2 GB/s')
  expect(formatMacRate(463.54e9)).toBe('463.5 GMAC/s')
  expect(formatSpread({ mean: 53.24, standardDeviation: 0.37 })).toBe('53.2 ± 0.4')
  expect(formatSpread({ mean: 1.234, standardDeviation: 0.05 })).toBe('1.23 ± 0.05')
  expect([2.5, 0.0041, 0.0000123].map(formatJoules)).toEqual(['2.50 J', '4.1 mJ', '12.3 uJ'])
})

test('a Markdown table aligns its numbers and keeps bars out of the way', () => {
  const rows = [['a|b', '1']]
  expect(formatResults(['name', 'n'], rows, [1], { markdown: true })).toEqual([
    '| name | n |',
    '| --- | ---: |',
    '| a\\|b | 1 |',
  ])
  expect(formatFacts([['a', 'b']], { markdown: true })).toEqual(['- a: b'])
  expect(formatResults(['name', 'n'], rows, [1], {})).toEqual(formatTable(['name', 'n'], rows, [1]))
})

test('Japanese characters take two columns', () => {
  expect(
    formatTable(
      ['text', 'n'],
      [
        ['猫カナ', '1'],
        ['ab', '22'],
      ],
      [1],
    ),
  ).toEqual(['text     n', '------  --', '猫カナ   1', 'ab      22'])
})
