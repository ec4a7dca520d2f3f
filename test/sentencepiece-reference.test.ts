/**
 * tokenizer.model with each setting of SentencePiece's normaliser, beside what SentencePiece itself makes of
 * random texts (scripts/sentencepiece-GOLDENS.py).
 */
import { Tokenizer } from '@anush008/tokenizers'
import { describe, expect, test } from 'vitest'
import { vocabularyKeys } from '../src/convert/vocabulary-keys.ts'
import { FormatError } from '../src/errors.ts'
import { tokenizerFromJson, tokenizerFromModelFile } from '../src/tokenizer/open-tokenizer.ts'
import { randomTexts } from './support/random-texts.ts'
import { GOLDENS, sentencePieceModel } from './support/sentencepiece-goldens.ts'

test.each(Object.keys(GOLDENS.ids))('%s: 300 texts become the same ids', (name) => {
  const tokenizer = tokenizerFromModelFile(sentencePieceModel(name), {})
  const wrong = GOLDENS.texts.flatMap((text, i) => {
    const [got, expected] = [tokenizer.encode(text, { addBos: false }), GOLDENS.ids[name][i]]
    return JSON.stringify(got) === JSON.stringify(expected) ? [] : [{ text, got, expected }]
  })
  expect(GOLDENS.texts.length).toBe(300)
  expect(wrong).toEqual([])
})

describe('converted to GGUF', () => {
  /** The tokenizer.json that the file then carries. */
  function converted(tokenizerModel: Uint8Array) {
    const { core, additions } = vocabularyKeys({ tokenizerModel }, {}, 700)
    const value = (key: string) => {
      const [, found] = [...core, ...additions].find(([name]) => name === key) ?? []
      return found?.value
    }
    const text = String(value('tokenizer.huggingface.json'))
    return { kind: value('tokenizer.ggml.model'), json: JSON.parse(text) }
  }

  const texts = [...GOLDENS.texts, ...randomTexts(3, 300, ['hello', 'カメラ'])]

  async function expectEqual(file: Uint8Array, json: unknown) {
    const [whole, made] = [
      tokenizerFromModelFile(file, {}),
      tokenizerFromJson({ tokenizerJson: json }),
    ]
    const reference = Tokenizer.fromString(JSON.stringify(json))
    for (const text of texts) {
      const options = { addBos: false, parseSpecial: true }
      const ids = whole.encode(text, options)
      expect(made.encode(text, options)).toEqual(ids)
      const theirs = await reference.encode(text.toWellFormed(), undefined, {
        addSpecialTokens: false,
      })
      expect(Array.from(theirs.getIds(), Number)).toEqual(ids)
    }
    expect(made.encode('hello')).toEqual(whole.encode('hello'))
    expect(made.stopIds).toEqual(whole.stopIds.filter((id) => made.stopIds.includes(id)))
  }

  test.each(['plain', 'spaces'])(
    '%s stays what it is, and equals the Rust library',
    async (name) => {
      const { kind, json } = converted(sentencePieceModel(name))
      expect(kind).toBe('llama')
      await expectEqual(sentencePieceModel(name), json)
    },
  )

  test('a table of characters has no equal form and is refused by name', () => {
    expect(() => converted(sentencePieceModel('rules'))).toThrow(FormatError)
    expect(() => converted(sentencePieceModel('rules'))).toThrow('precompiled_charsmap')
  })

  test("tiktoken's ranks become merges that give the same ids", async () => {
    const bytes = Array.from({ length: 256 }, (_, byte) => Buffer.of(byte))
    const words = [
      'he',
      'll',
      'hell',
      'hello',
      ' w',
      'or',
      'ld',
      ' wor',
      ' world',
      'カ',
      'メ',
      '\n\n',
    ]
    const pieces = [...bytes, ...words.map((word) => Buffer.from(word))]
    const file = pieces.map((piece, rank) => `${piece.toString('base64')} ${rank}\n`).join('')
    const { kind, json } = converted(Buffer.from(file))
    expect(kind).toBe('gpt2')
    await expectEqual(Buffer.from(file), json)
  })
})

describe('a setting that is not applied is refused by name', () => {
  /** Messages that come again in a protocol buffer go on where the first one ended. */
  test.each([
    ['treat_whitespace_as_suffix', [0x12, 3, 0xc0, 0x01, 1]],
    ['escape_whitespaces', [0x1a, 2, 5 << 3, 0]],
    ['denormalizer_spec', [0x2a, 3, 0x12, 1, 1]],
  ])('%s', (setting, more) => {
    const load = () =>
      tokenizerFromModelFile(Uint8Array.of(...sentencePieceModel('plain'), ...more), {})
    expect(load).toThrow(FormatError)
    expect(load).toThrow(setting)
  })
})

describe('a compiled table of characters from anywhere', () => {
  const load = (table: Uint8Array) => {
    const field = [0x12, ...varint(table.length), ...table]
    const file = Uint8Array.of(
      ...sentencePieceModel('plain'),
      0x1a,
      ...varint(field.length),
      ...field,
    )
    return tokenizerFromModelFile(file, {})
  }
  const varint = (value: number) => [(value & 127) | 128, (value >> 7) & 127]
  const table = new Uint8Array(Buffer.from(GOLDENS.charsmap, 'base64'))

  test.each([
    ['short', table.subarray(0, 6)],
    ['a trie that is longer than all of it', Uint8Array.of(255, 255, 0, 0, ...table.subarray(4))],
    ['a trie of no whole entries', Uint8Array.of(7, 0, 0, 0, ...table.subarray(4))],
    ['no trie', Uint8Array.of(0, 0, 0, 0, ...table.subarray(4))],
  ])('is refused with %s', (_, damaged) => {
    expect(() => load(damaged)).toThrow(FormatError)
    expect(() => load(damaged)).toThrow('precompiled_charsmap')
  })

  test('does what it may, or is refused, wherever a byte of it is changed', () => {
    const text = GOLDENS.texts.join('')
    let refused = 0
    for (let at = 4; at < table.length; at += 5) {
      const damaged = table.slice()
      damaged[at] ^= 0x80 | (at & 0x7f)
      try {
        expect(load(damaged).encode(text).length).toBeGreaterThan(0)
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(0)
  })
})
