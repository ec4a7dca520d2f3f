import { expect, test } from 'vitest'
import { mockSurroundings } from '../../../test/support/mock-language-model.ts'
import { formatFacts } from './table.ts'
import { columnsOf, proseFor, shortened, WordFlow, wrapProse, wrapText } from './wrap.ts'

test('lines are broken between words, and between the characters of Japanese', () => {
  expect(wrapText('one two three', 8)).toEqual(['one two', 'three'])
  expect(wrapText('  one two three', 10)).toEqual(['  one two', '  three'])
  expect(wrapText('日本語の文章です', 8)).toEqual(['日本語の', '文章です'])
})

test('punctuation stays with what it closes or opens', () => {
  expect(wrapText('日本語、文章。', 6)).toEqual(['日本', '語、文', '章。'])
  expect(wrapText('答えは「はい」です', 8)).toEqual(['答えは', '「はい」', 'です'])
  expect(wrapText('BitNetはサーバー', 10)).toEqual(['BitNetは', 'サーバー'])
})

test('long vowels and emoji take the columns that a terminal gives them', () => {
  expect(columnsOf('バージョン')).toBe(10)
  expect(columnsOf('👍')).toBe(2)
  expect(formatFacts([['バージョン', 'a b'] as const], { width: 13 })).toEqual([
    'バージョン  a',
    '            b',
  ])
})

test('of several lines each is wrapped by itself, and lists keep their columns', () => {
  const list = '/undo   take the last one back\n/reset  forget all'
  expect(wrapProse(list, 22).split('\n')).toEqual([
    '/undo   take the last',
    '        one back',
    '/reset  forget all',
  ])
  expect(wrapProse('/system TEXT  a b c d', 18).split('\n')).toEqual([
    '/system TEXT  a b',
    '    c d',
  ])
  expect(
    wrapProse('a '.repeat(99))
      .split('\n')
      .every((line) => line.length <= 80),
  ).toBe(true)
})

test('a text is shortened to whole characters', () => {
  expect(shortened('abcdef', 6)).toBe('abcdef')
  expect(shortened('abcdef', 5)).toBe('abcd…')
  expect(shortened('日本語の文', 6)).toBe('日本…')
})

test('a pipe gets lines as they are', () => {
  const { stderr } = mockSurroundings()
  const text = 'word '.repeat(50)
  expect(proseFor(stderr, text, {})).toBe(text)
  expect(proseFor(Object.assign(stderr, { isTTY: true }), text, { COLUMNS: '40' })).toMatch(/\n/)
})

/** What is shown of a text that comes in these pieces. */
function flowOf(width: number, ...pieces: string[]): string {
  const flow = new WordFlow(width)
  return pieces.map((piece) => flow.push(piece)).join('') + flow.end()
}

test('a text that comes in pieces is broken where it is broken as a whole', () => {
  const text = 'The quick brown fox, 茶色の狐は（速く）走る。 It jumped over\n\nthe lazy dogs.'
  const whole = flowOf(12, text)
  for (const line of whole.split('\n')) expect(columnsOf(line)).toBeLessThanOrEqual(12)
  for (const size of [1, 2, 3, 7]) {
    const pieces = text.match(new RegExp(`[\\s\\S]{1,${size}}`, 'gu')) ?? []
    expect(flowOf(12, ...pieces)).toBe(whole)
  }
  expect(whole.replaceAll(/\s/g, '')).toBe(text.replaceAll(/\s/g, ''))
  expect(whole).toContain('The quick\nbrown fox,')
})

test('nothing is added or lost where lines have no end, or a word has none', () => {
  expect(flowOf(Number.POSITIVE_INFINITY, 'a b', ' c')).toBe('a b c')
  const long = 'x'.repeat(1000)
  expect(flowOf(40, long.slice(0, 500), long.slice(500))).toBe(long)
})

test('a full line and the next word have one line end between them', () => {
  expect(flowOf(5, 'abcde fg')).toBe('abcde\nfg')
})
