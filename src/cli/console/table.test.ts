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
import { formatFacts, formatReport, formatTable, stackedBar } from './table.ts'

test('a table aligns its columns and has no trailing spaces', () => {
  expect(
    formatTable({
      header: ['a', 'long name'],
      rows: [
        ['x', '1'],
        ['yyy', '22'],
      ],
      right: [1],
    }),
  ).toEqual(['a    long name', '---  ---------', 'x            1', 'yyy         22'])
})

test('a table has as many rows as a file has tensors', () => {
  const rows = Array.from({ length: 1 << 18 }, (_, i) => [`t${i}`])
  const table = { header: ['tensor'], rows, right: [] }
  expect(formatTable(table)).toHaveLength(rows.length + formatTable({ ...table, rows: [] }).length)
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
  expect([2.5, 0.0041, 0.0000123].map(formatJoules)).toEqual(['2.50 J', '4.1 mJ', '12.3 µJ'])
})

test('a Markdown table aligns its numbers and keeps bars out of the way', () => {
  const table = { header: ['name', 'n'], rows: [['a|b', '1']], right: [1] }
  expect(formatTable(table, { markdown: true })).toEqual([
    '| name | n |',
    '| --- | ---: |',
    '| a\\|b | 1 |',
  ])
  expect(formatFacts([['a', 'b']], { markdown: true })).toEqual(['- a: b'])
})

test('Japanese characters take two columns', () => {
  expect(
    formatTable({
      header: ['text', 'n'],
      rows: [
        ['猫カナ', '1'],
        ['ab', '22'],
      ],
      right: [1],
    }),
  ).toEqual(['text     n', '------  --', '猫カナ   1', 'ab      22'])
})

test('a table that is wider than the terminal has its rows over several lines', () => {
  const table = {
    header: ['model', 'size', 'licence', 'note'],
    rows: [['bitnet-2b', '1.2 GB', 'MIT', '日本語も話す']],
    right: [1],
  }
  expect(formatTable(table, { width: 46 })[0]).toBe('model        size  licence  note')
  expect(formatTable(table, { width: 30 })).toEqual([
    'bitnet-2b',
    '    size 1.2 GB, licence MIT,',
    '    note 日本語も話す',
  ])
})

test('facts and sentences are broken at spaces', () => {
  const parts = [[['load', 'one two three four'] as const], '', 'a sentence of six short words']
  expect(formatReport(parts, { width: 16 })).toEqual([
    'load  one two',
    '      three four',
    '',
    'a sentence of',
    'six short words',
  ])
})

test('control characters of a report reach no terminal', () => {
  const parts = [[['name', '\u001b]0;x\u0007\u009b'] as const], '\u001b[2J']
  expect(formatReport(parts).join('\n')).not.toMatch(/[^\n\P{Cc}]/u)
})
