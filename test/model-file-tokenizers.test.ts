/**
 * Checkpoints that bring their tokenizer as `tokenizer.model` alone, and templates in a file of their
 * own. The vocabularies of Llama 2 and 3 belong to others and lie beside the checkout, if at all.
 */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { FormatError } from '../src/errors.ts'
import { parseGguf } from '../src/formats/gguf/index.ts'
import { memorySource } from '../src/formats/memory-source.ts'
import { tokenizerFromGguf, tokenizerFromModelFile } from '../src/tokenizer/open-tokenizer.ts'
import { sharedPath } from './support/fixtures.ts'

const LLAMA2 = sharedPath('tokenizers/llama2/tokenizer.model')
const LLAMA2_GGUF = sharedPath('tokenizers/vectors/ggml-vocab-llama-spm.gguf')
const LLAMA3 = sharedPath('tokenizers/llama3/tokenizer.model')

/** A message of protocol buffers: bytes and texts by length, numbers as varints below 128. */
function message(fields: readonly (readonly [number, string | number | Uint8Array])[]): Uint8Array {
  return Uint8Array.from(
    fields.flatMap(([number, value]) => {
      if (typeof value === 'number') return [...tag(number, 0), value]
      const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
      return [...tag(number, 2), bytes.length, ...bytes]
    }),
  )
}

function tag(number: number, wire: number): number[] {
  const value = (number << 3) | wire
  return value < 128 ? [value] : [(value & 127) | 128, value >> 7]
}

function score(value: number): number[] {
  return [(2 << 3) | 5, ...new Uint8Array(Float32Array.of(value).buffer)]
}

function piece(text: string, value: number, type = 1): readonly [number, Uint8Array] {
  return [1, Uint8Array.from([...message([[1, text]]), ...score(value), ...message([[3, type]])])]
}

/** Four letters, two merges, a byte-less vocabulary of BPE type. */
const PIECES = [
  piece('<unk>', 0, 2),
  piece('<s>', 0, 3),
  piece('</s>', 0, 3),
  piece('\u2581', -9),
  piece('a', -8),
  piece('b', -7),
  piece('ab', -2),
  piece('\u2581ab', -3),
] as const
const SMALL = message([...PIECES, [2, message([[3, 2]])]])

describe('tokenizer.model of SentencePiece', () => {
  test('joins pieces by score and puts a space in front', () => {
    const tokenizer = tokenizerFromModelFile(SMALL, {})
    expect(tokenizer.description).toBe('tokenizer.model: SentencePiece BPE, 8 tokens')
    expect(tokenizer.encode('ab ab')).toEqual([1, 7, 7])
    expect(tokenizer.decode([7, 7])).toBe('ab ab')
    expect(tokenizer.stopIds).toEqual([2])
  })

  test('takes added tokens, begin token, end token and template from the files beside', () => {
    const tokenizer = tokenizerFromModelFile(SMALL, {
      tokenizerConfig: {
        add_bos_token: false,
        added_tokens_decoder: { 9: { content: '<end>', special: true } },
        chat_template: 'unused',
      },
      config: { eos_token_id: 9 },
      chatTemplate: '{{ messages[0].content }}<end>',
    })
    expect(tokenizer.vocabSize).toBe(10)
    expect(tokenizer.encode('ab')).toEqual([7])
    expect(tokenizer.stopIds).toEqual([9])
    expect(tokenizer.encodeChat([{ role: 'user', content: 'ab' }])).toEqual([7, 9])
  })

  test('refuses other algorithms, and whatever is cut short', () => {
    const unigram = message([...PIECES, [2, message([[3, 1]])]])
    expect(() => tokenizerFromModelFile(unigram, {})).toThrow('BPE model')
    for (let length = 1; length < SMALL.length - 1; length++) {
      // Cut between two fields, it is a whole file without the part that says it is BPE.
      expect(() => tokenizerFromModelFile(SMALL.slice(0, length), {})).toThrow(FormatError)
    }
  })

  // Joining by score is also checked above, llama.cpp's form of it in read-gguf.test.ts.
  test.skipIf(!existsSync(LLAMA2) || !existsSync(LLAMA2_GGUF))(
    "encodes as the same vocabulary in llama.cpp's file (needs ../shared/tokenizers)",
    async () => {
      const { metadata } = await parseGguf(memorySource(new Uint8Array(readFileSync(LLAMA2_GGUF))))
      const expected = tokenizerFromGguf(metadata)
      const tokenizer = tokenizerFromModelFile(new Uint8Array(readFileSync(LLAMA2)), {})
      expect(tokenizer.vocabSize).toBe(32000)
      for (const text of [
        'Once upon a time',
        '  spaces\n\tand tabs',
        'こんにちは 世界 🚀',
        'x=1;',
      ]) {
        expect(tokenizer.encode(text)).toEqual(expected.encode(text))
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
      }
    },
  )
})

describe('tokenizer.model of tiktoken', () => {
  // read-tiktoken.test.ts has a vocabulary of its own for the format.
  test.skipIf(!existsSync(LLAMA3))(
    'is told by its text, and knows the format of 2B-4T (needs ../shared/tokenizers)',
    () => {
      const file = new Uint8Array(readFileSync(LLAMA3))
      const bitnet = tokenizerFromModelFile(file, { config: { model_type: 'bitnet' } })
      expect(bitnet.vocabSize).toBe(128_256)
      expect(bitnet.chatTemplate).toContain('capitalize')
      const own = tokenizerFromModelFile(file, { chatTemplate: '{{ messages[0].content }}' })
      expect(own.encodeChat([{ role: 'user', content: 'Hello' }])).toEqual([128_000, 9906])
    },
  )
})
