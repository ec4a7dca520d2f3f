/**
 * Tokenizers of every accepted shape against the Rust library, over random texts: ids of texts, and texts
 * of ids, at once and as a stream.
 */
import { Tokenizer } from '@anush008/tokenizers'
import { describe, expect, test } from 'vitest'
import { tokenizerFromJson } from '../src/tokenizer/open-tokenizer.ts'
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
]

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
    expect(differing(others, (text) => tokenizer.encode(text, { parseSpecial }), whole)).toEqual([])
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
