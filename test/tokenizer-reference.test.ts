/**
 * Tokenizers of every accepted shape against the Rust library, over random texts: ids of texts, and texts
 * of ids, at once and as a stream.
 */
import { type PreTokenizer, Tokenizer } from '@anush008/tokenizers'
import { describe, expect, test } from 'vitest'
import { finish } from '../src/steps.ts'
import { tokenizerFromJson } from '../src/tokenizer/open-tokenizer.ts'
import { preTokenizerOf } from '../src/tokenizer/pipeline/pre-tokenize.ts'
import { randomFrom, randomTexts } from './support/random-texts.ts'
import { SHAPES } from './support/tokenizer-shapes.ts'

const TEXTS = 500
const INTERESTING = [
  '<s>',
  '</s>',
  '<unk>',
  'hello',
  ' hello ',
  '<strip>',
  ' <strip> ',
  'world',
  '<str',
  'Hello',
  'é',
  'ｶﾞ',
  '①  ﬁ',
]

const EMPTY = {
  version: '1.0',
  added_tokens: [],
  normalizer: null,
  post_processor: null,
  decoder: null,
  model: { type: 'BPE', vocab: { a: 0 }, merges: [] },
}

const texts = randomTexts(1, TEXTS, INTERESTING)

/** What differs, as texts; nothing of it is expected. Many thousands of assertions would take minutes. */
const differing = <T>(
  items: readonly T[],
  ours: (item: T) => unknown,
  theirs: readonly unknown[],
) =>
  items.flatMap((item, i) => {
    const [got, expected] = [JSON.stringify(ours(item)), JSON.stringify(theirs[i])]
    return got === expected ? [] : [`${JSON.stringify(item)}: ${got} instead of ${expected}`]
  })

describe.each(Object.entries(SHAPES))('%s', (_, json) => {
  const reference = Tokenizer.fromString(JSON.stringify(json))
  const tokenizer = tokenizerFromJson({ tokenizerJson: json })
  const parseSpecial = true
  const idsOf = async (some: string[], addSpecialTokens: boolean) =>
    (await reference.encodeBatch(some, { addSpecialTokens })).map((encoding) => {
      return Array.from(encoding.getIds())
    })

  test('encodes as the Rust library does', async () => {
    const plain = await idsOf(texts, false)
    const encode = (text: string) => tokenizer.encode(text, { parseSpecial, addBos: false })
    expect(differing(texts, encode, plain)).toEqual([])
    // The begin token is put in front once; the Rust library repeats one that the text begins with.
    const others = texts.filter((_, i) => plain[i][0] !== tokenizer.bosId)
    const whole = await idsOf(others, true)
    const surrounded = (text: string) => tokenizer.encode(text, { parseSpecial, addEnd: true })
    expect(differing(others, surrounded, whole)).toEqual([])
  })

  test('decodes as the Rust library does, at once and as a stream', async () => {
    const random = randomFrom(2)
    const made = texts.map(() =>
      Array.from({ length: 12 }, () => Math.floor(random() ** 2 * tokenizer.vocabSize)),
    )
    const encoded = texts.map((text) => tokenizer.encode(text, { parseSpecial }))
    const lists = [...encoded, ...made].filter((ids) => ids.length > 0)
    const shown = await reference.decodeBatch(lists, true)
    expect(differing(lists, (ids) => tokenizer.decode(ids), shown)).toEqual([])
    const all = await reference.decodeBatch(lists, false)
    expect(differing(lists, (ids) => tokenizer.decode(ids, { skipSpecial: false }), all)).toEqual(
      [],
    )
    const streamed = (ids: readonly number[]) => {
      const stream = tokenizer.stream()
      return ids.map((id) => stream.push(id)).join('') + stream.end()
    }
    expect(differing(lists, streamed, shown)).toEqual([])
  })
})

/** Letters, repetitions of all kinds, groups, borders, looks ahead and behind, a few steps deep. */
function randomExpression(random: () => number, depth = 3): string {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]
  const inner = () => randomExpression(random, depth - 1)
  const kind = random()
  if (depth === 0 || kind < 0.3) {
    return pick(['a', 'b', '[ab]', '.', '[^a]', 'ab', '\\b', '^', '$', '\\s', '\\w'])
  }
  if (kind < 0.5) return inner() + inner()
  if (kind < 0.65) return `(?:${inner()}|${inner()})`
  if (kind < 0.72) return `(?${pick(['=', '!', '>'])}${inner()})${inner()}`
  if (kind < 0.76) return `(?<${pick(['=', '!'])}${pick(['a', 'ab', '[ab]c'])})${inner()}`
  const times = ['*', '+', '?', '{2}', '{1,2}', '{2,}', '*?', '+?', '??', '*+', '++', '{1,2}+']
  return `(?:${inner()})${pick(times)}`
}

test('random expressions cut where the Rust library cuts', async () => {
  const random = randomFrom(3)
  const wrong: string[] = []
  let compared = 0
  for (let round = 0; round < 1500; round++) {
    const expression = randomExpression(random)
    const split = {
      type: 'Split',
      pattern: { Regex: expression },
      behavior: 'Contiguous',
      invert: false,
    }
    const json = { ...EMPTY, pre_tokenizer: split }
    let cut: ReturnType<typeof preTokenizerOf>['cut']
    let reference: PreTokenizer | null
    try {
      reference = Tokenizer.fromString(JSON.stringify(json)).getPreTokenizer()
      cut = preTokenizerOf(split).cut
    } catch {
      continue
    }
    for (let i = 0; i < 4; i++) {
      const length = 1 + Math.floor(random() * 12)
      const text = Array.from({ length }, () => 'aabc\n '[Math.floor(random() * 6)]).join('')
      const expected = (await reference?.preTokenizeString(text))?.map(([piece]) => piece)
      const { list } = finish(cut({ list: [text], startsText: true }))
      compared++
      if (JSON.stringify(list) !== JSON.stringify(expected)) wrong.push(`${expression} in ${text}`)
    }
  }
  expect(wrong).toEqual([])
  expect(compared).toBeGreaterThan(4000)
})
