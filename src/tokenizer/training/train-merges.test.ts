/** Merges against a trainer that counts everything anew each time, and the tables that they are learnt from. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { randomFrom, randomTexts } from '../../../test/support/random-texts.ts'
import { finish } from '../../steps.ts'
import { BYTE_CHARACTERS, textToAlphabet } from '../byte-alphabet.ts'
import { tokenizerFromJson } from '../open-tokenizer.ts'
import { QUICK_EXPRESSIONS, SCRIPTS_SPLIT } from '../regex/known.ts'
import { CHAT_TOKENS, tokenizerFiles } from './tokenizer-files.ts'
import { trainMerges } from './train-merges.ts'
import { type CountedWords, WordCounts } from './word-counts.js'

const EXPRESSION = new RegExp(QUICK_EXPRESSIONS.get(SCRIPTS_SPLIT) as string, 'gu')

function unitsOf(text: string): Uint16Array {
  return Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))
}

function counted(...texts: readonly string[]): CountedWords {
  const counts = new WordCounts()
  for (const text of texts) counts.addText(unitsOf(text), 0, text.length)
  return counts.take()
}

function wordsOf({ characters, ends, counts }: CountedWords): Map<string, number> {
  const text = (start: number, end: number) =>
    String.fromCharCode(...characters.subarray(start, end))
  return new Map(Array.from(ends, (end, i) => [text(i === 0 ? 0 : ends[i - 1], end), counts[i]]))
}

/** What `trainMerges` is meant to find, in plain words. */
function plainMerges(words: ReadonlyMap<string, number>, count: number, least: number) {
  const split = [...words].map(([word, times]) => ({
    symbols: [...textToAlphabet(word)],
    times,
  }))
  const ids = new Map([...BYTE_CHARACTERS].sort().map((character, id) => [character, id]))
  const idOf = (piece: string) => ids.get(piece) as number
  const merges: [string, string][] = []
  while (merges.length < count) {
    const pairs = new Map<string, { pair: [string, string]; times: number }>()
    for (const { symbols, times } of split) {
      for (let i = 1; i < symbols.length; i++) {
        const pair: [string, string] = [symbols[i - 1], symbols[i]]
        const key = pair.join(' ')
        const own = pairs.get(key) ?? { pair, times: 0 }
        own.times += times
        pairs.set(key, own)
      }
    }
    const [best] = [...pairs.values()].sort(
      (a, b) =>
        b.times - a.times || idOf(a.pair[0]) - idOf(b.pair[0]) || idOf(a.pair[1]) - idOf(b.pair[1]),
    )
    if (best === undefined || best.times < least) break
    const [left, right] = best.pair
    merges.push([left, right])
    if (!ids.has(left + right)) ids.set(left + right, ids.size)
    for (const { symbols } of split) {
      for (let i = 0; i + 1 < symbols.length; i++) {
        if (symbols[i] === left && symbols[i + 1] === right) symbols.splice(i, 2, left + right)
      }
    }
  }
  return merges
}

describe.each([1, 2, 3, 4])('merges of random texts, seed %i', (seed) => {
  const words = counted(...randomTexts(seed, 40).map((text) => text.toWellFormed()))

  test.each([1, 2, 5])('are those of counting anew, pairs of at least %i', (minFrequency) => {
    const { merges } = finish(trainMerges(words, { pieces: 256 + 250, minFrequency }))
    expect(merges).toEqual(plainMerges(wordsOf(words), merges.length, minFrequency))
    expect(merges.length).toBeGreaterThan(minFrequency === 5 ? 10 : 100)
  })
})

test.each(['aaaaa aaaa aaa aa', 'abababab abab bababa', 'aabaab abaaba baabaa'])(
  'pieces that overlap in %j are joined from the left',
  (text) => {
    const words = counted(text)
    const { merges } = finish(trainMerges(words, { pieces: 400, minFrequency: 1 }))
    expect(merges).toEqual(plainMerges(wordsOf(words), 200, 1))
  },
)

test('words may come more often than 32 bits count', () => {
  const words = counted(...randomTexts(9, 40).map((text) => text.toWellFormed()))
  for (const [i, count] of words.counts.entries()) words.counts[i] = count * 2 ** 31 + (i % 5)
  const trained = finish(trainMerges(words, { pieces: 256 + 100, minFrequency: 2 }))
  expect(trained.merges).toEqual(plainMerges(wordsOf(words), trained.merges.length, 2))
  const bytes = [...wordsOf(words)].map(([word, count]) => Buffer.byteLength(word) * count)
  expect(trained.bytes).toBe(bytes.reduce((sum, own) => sum + own, 0))
})

test('a vocabulary beyond 16 bits has the same merges, of characters of every length', () => {
  const words = counted('aé猫😀 '.repeat(9), '\ud83d! \udc00? é猫é猫', '\ud83d! é猫')
  const [narrow, wide] = [60_000, 70_000].map((pieces) =>
    finish(trainMerges(words, { pieces, minFrequency: 1 })),
  )
  expect(narrow.merges.length).toBeGreaterThan(10)
  expect(wide).toEqual(narrow)
  expect(narrow.bytes).toBe(
    [...wordsOf(words)].reduce((sum, [word, count]) => sum + Buffer.byteLength(word) * count, 0),
  )
})

test("merges are those of the Rust library's trainer", () => {
  const url = new URL('../../../test/fixtures/tokenizer/trained-merges.json', import.meta.url)
  const { texts, merges } = JSON.parse(readFileSync(url, 'utf8'))
  const trained = finish(
    trainMerges(counted(...texts), { pieces: 256 + merges.length, minFrequency: 2 }),
  )
  expect(trained.merges.map((pair) => pair.join(' '))).toEqual(merges)
})

test('the tokenizer cuts the words of its text into as many pieces as were counted', () => {
  const texts = randomTexts(11, 60).map((text) => text.toWellFormed())
  const trained = finish(trainMerges(counted(...texts), { pieces: 600, minFrequency: 2 }))
  const files = tokenizerFiles({ special: [], split: SCRIPTS_SPLIT, ...trained })
  const tokenizer = tokenizerFromJson({
    tokenizerJson: files['tokenizer.json'],
    tokenizerConfig: files['tokenizer_config.json'],
  })
  const ids = texts.map((text) => tokenizer.encode(text, { addBos: false }))
  expect(ids.flat()).toHaveLength(trained.tokens)
  expect(ids.map((own) => tokenizer.decode(own))).toEqual(texts)
  expect(Buffer.byteLength(texts.join(''))).toBe(trained.bytes)
  expect(tokenizer.vocabSize).toBe(CHAT_TOKENS.length + trained.pieces.length)
})

test('scripts are words of their own, and a space goes with the word behind it', () => {
  const text = '食べるのはラーメンとらーめんです。ジョン・スミス isn’t it café 12345\n'
  const expected = [
    ...['食', 'べるのは', 'ラーメン', 'とらーめんです', '。', 'ジョン', '・', 'スミス'],
    ...[' isn', '’t', ' it', ' café', ' ', '123', '45', '\n'],
  ]
  expect([...wordsOf(counted(text)).keys()]).toEqual(expected)
})

test('every text is words from end to end', () => {
  for (const text of randomTexts(3, 200)) {
    const lengths = [...text.matchAll(EXPRESSION)].map(([word]) => word.length)
    expect(
      lengths.reduce((sum, own) => sum + own, 0),
      JSON.stringify(text),
    ).toBe(text.length)
  }
})

describe('counted words', () => {
  test('are those of a Map', () => {
    const texts = randomTexts(5, 300)
    const expected = new Map<string, number>()
    for (const [word] of texts.flatMap((text) => [...text.matchAll(EXPRESSION)])) {
      expected.set(word, (expected.get(word) ?? 0) + 1)
    }
    const words = wordsOf(counted(...texts))
    expect(words.size).toBeGreaterThan(500)
    expect(words).toEqual(expected)
  })

  test('add up as one text would, each table by its weight', () => {
    const texts = randomTexts(6, 200)
    const sum = new WordCounts()
    sum.addCounted(counted(...texts.slice(0, 80)), 1)
    sum.addCounted(counted(...texts.slice(80)), 1)
    expect(sum.take()).toEqual(counted(...texts))
    sum.addCounted(counted('a b a'), 2.5)
    sum.addCounted(counted(' b'), 1)
    expect(wordsOf(sum.take())).toEqual(
      new Map([
        ['a', 2.5],
        [' b', 3.5],
        [' a', 2.5],
      ]),
    )
  })

  test('are kept by how often they came, and then by when', () => {
    const random = randomFrom(9)
    const words = Array.from(
      { length: 3000 },
      () =>
        `w${'abcdefghij'[Math.floor(random() * 10)]}${'klmnopqrst'[Math.floor(random() ** 3 * 10)]}`,
    )
    const text = words.join(' ')
    const counts = new WordCounts()
    counts.addText(unitsOf(text), 0, text.length)
    const all = new WordCounts()
    all.addText(unitsOf(text), 0, text.length)
    counts.keepMost(30)
    const kept = wordsOf(counts.take())
    const sorted = [...wordsOf(all.take())].sort((a, b) => b[1] - a[1]).slice(0, 30)
    expect(kept).toEqual(new Map(sorted))
  })

  test('of a text without a border are cut, between whole characters', () => {
    const words = wordsOf(counted('a'.repeat(1000), `々${'𠮷'.repeat(300)}`))
    expect([...words.keys()].map(({ length }) => length)).toEqual([256, 232, 255, 256, 90])
    expect(words.get('a'.repeat(256))).toBe(3)
    expect([...words.keys()].every((word) => word.isWellFormed())).toBe(true)
  })
})
