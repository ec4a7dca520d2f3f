import { describe, expect, test } from 'vitest'
import {
  BYTE_LEVEL,
  type VocabularyKeys as Keys,
  tokenizerMetadata as metadata,
  SENTENCEPIECE,
} from '../../test/support/vocabularies.ts'
import { FormatError } from '../errors.ts'
import type { GgufValue } from '../formats/model-file.ts'
import { BITNET_2B_TEMPLATE } from './chat-format.ts'
import { tokenizerFromGguf } from './open-tokenizer.ts'

describe('byte-level BPE', () => {
  const tokenizer = tokenizerFromGguf(metadata(BYTE_LEVEL))

  test('special tokens, tags and pieces are told apart by their types', () => {
    expect(tokenizer.encode('ab<tag>a<|endoftext|>', { parseSpecial: true })).toEqual([2, 4, 0, 3])
    expect(tokenizer.encode('ab<tag>a')).toEqual([2, 4, 0])
    expect(tokenizer.stopIds).toEqual([3])
    expect(tokenizer.tokenText(5)).toBe('__proto__')
  })

  test('merges that end in a control token are taken back', () => {
    const types = Int32Array.of(1, 1, 3, 3, 4, 1)
    const odd = tokenizerFromGguf(metadata({ ...BYTE_LEVEL, 'ggml.token_type': types }))
    expect(odd.encode('aabb')).toEqual([0, 0, 1, 1])
    expect(odd.encode('aabb', { parseSpecial: true })).toEqual([0, 2, 1])
  })

  test('a file that names no rule for words says so in its description', () => {
    const { 'ggml.pre': _, ...unnamed } = BYTE_LEVEL
    expect(tokenizerFromGguf(metadata(unnamed)).description).toContain('default (not named')
  })

  test("Llama 3's vocabulary without a rule, types or a true template is put right", () => {
    const tokens = Array.from({ length: 128_256 }, (_, i) =>
      i < 128_000 ? `t${i}` : `<|reserved_special_token_${i}|>`,
    )
    tokens.splice(0, 7, 'a', 'b', '1', '12', '123', '1234', '4')
    tokens[128_000] = '<|begin_of_text|>'
    tokens[128_009] = '<|eot_id|>'
    const llama3 = tokenizerFromGguf(
      metadata({
        'ggml.model': 'gpt2',
        'ggml.tokens': tokens,
        'ggml.merges': [],
        'ggml.bos_token_id': 128_000,
        'ggml.eos_token_id': 128_001,
        chat_template: 'Human: {{ messages[0].content }}BITNETAssistant:',
      }),
    )
    // Digits go in groups of three, and a group that is a piece needs no merges.
    expect(llama3.encode('1234')).toEqual([128_000, 4, 6])
    expect(llama3.description).toMatch(/llama-bpe \(not named in the file\).*template corrected/)
    expect(llama3.stopIds).toEqual([128_001, 128_009])
    expect(llama3.chatTemplate).toBe(BITNET_2B_TEMPLATE)
    expect(llama3.encode('<|eot_id|>', { parseSpecial: true })).toEqual([128_000, 128_009])
  })
})

describe('SentencePiece BPE', () => {
  const tokenizer = tokenizerFromGguf(metadata(SENTENCEPIECE))

  test('the join with the higher score goes first', () => {
    // "_ab": "_a" (-1) beats "ab" (-2).
    expect(tokenizer.encode('ab')).toEqual([1, 263, 261])
  })

  test('characters without a piece become bytes and come back', () => {
    const ids = tokenizer.encode('é', { addBos: false })
    expect(ids).toEqual([259, 3 + 0xc3, 3 + 0xa9])
    expect(tokenizer.decode(ids)).toBe('é')
    const stream = tokenizer.stream()
    expect(ids.map((id) => stream.push(id))).toEqual(['', '', 'é'])
  })

  test('control tokens are not joined from text, not even from their halves', () => {
    expect(tokenizer.encode('<s>', { addBos: false })).not.toContain(1)
    expect(tokenizer.encode('<s>a', { parseSpecial: true })).toEqual([1, 263])
  })

  test('a control token that joins within a text is taken apart, and only there', () => {
    const types = Int32Array.from(SENTENCEPIECE['ggml.token_type'] as Int32Array)
    types[262] = 3
    const odd = tokenizerFromGguf(metadata({ ...SENTENCEPIECE, 'ggml.token_type': types }))
    const ids = odd.encode('bab', { addBos: false })
    // No space comes before the "ab" that was cut off.
    expect(ids).toEqual([259, 261, 260, 261])
    expect(odd.decode(ids)).toBe('bab')
  })

  test('the space in front can be off', () => {
    const plain = tokenizerFromGguf(
      metadata({ ...SENTENCEPIECE, 'ggml.add_space_prefix': false, 'ggml.add_bos_token': false }),
    )
    expect(plain.encode('ab')).toEqual([262])
    expect(plain.decode([263])).toBe(' a')
  })
})

test('texts that are embedded get an end token where the file says so', () => {
  const endId = (isAdded: boolean) =>
    tokenizerFromGguf(
      metadata({ ...BYTE_LEVEL, 'ggml.eos_token_id': 2, 'ggml.add_eos_token': isAdded }),
    ).endId
  expect(endId(true)).toBe(2)
  expect(endId(false)).toBeUndefined()
})

test('an embedded tokenizer.json goes before the other keys', () => {
  const json = JSON.stringify({
    added_tokens: [{ id: 1, content: '<s>', special: true }],
    decoder: { type: 'ByteLevel' },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    model: { type: 'BPE', vocab: { a: 0, '<s>': 1, b: 2 }, merges: [] },
  })
  const tokenizer = tokenizerFromGguf(
    metadata({
      ...BYTE_LEVEL,
      'huggingface.json': json,
      'ggml.bos_token_id': 1,
      'ggml.eos_token_id': 2,
      'ggml.add_bos_token': true,
      chat_template: '{{ messages[0].content }}',
    }),
  )
  expect(tokenizer.encode('a')).toEqual([1, 0])
  expect(tokenizer.stopIds).toEqual([2])
  expect(tokenizer.encodeChat([{ role: 'user', content: 'a' }])).toEqual([1, 0])
})

test('templates have the end token, whichever keys the vocabulary is in, and one of their own for tools', () => {
  const json = JSON.stringify({
    added_tokens: [{ id: 1, content: '<s>', special: true }],
    decoder: { type: 'ByteLevel' },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    model: { type: 'BPE', vocab: { a: 0, '<s>': 1, b: 2 }, merges: [] },
  })
  const tokenizer = tokenizerFromGguf(
    metadata({
      ...BYTE_LEVEL,
      'huggingface.json': json,
      'ggml.eos_token_id': 1,
      'ggml.add_bos_token': false,
      chat_template: 'a{{ eos_token }}',
      'chat_template.tool_use': '{{ tools | length }}b',
    }),
  )
  const message = { role: 'user', content: 'a' } as const
  expect(tokenizer.encodeChat([message])).toEqual([0, 1])
  expect(tokenizer.encodeChat([message], { tools: [{}] })).toEqual([2])
})

test('a file without a vocabulary gets numbers for tokens', () => {
  const keys = new Map<string, GgufValue>([
    ['general.architecture', 'bitnet-b1.58'],
    ['bitnet-b1.58.vocab_size', 32],
    ['tokenizer.ggml.model', 'no_vocab'],
  ])
  expect(tokenizerFromGguf(keys).encode('3 31')).toEqual([3, 31])
  keys.delete('bitnet-b1.58.vocab_size')
  expect(() => tokenizerFromGguf(keys)).toThrow(FormatError)
})

describe('damaged files', () => {
  test.each<[string, string, Keys]>([
    ['ggml.model', 'an unknown model', { 'ggml.model': 'rwkv' }],
    ['ggml.model', 'a model that is no text', { 'ggml.model': 7 }],
    ['ggml.pre', 'an unknown rule', { 'ggml.pre': 'tekken' }],
    ['ggml.tokens', 'tokens that are no list', { 'ggml.tokens': 'a' }],
    ['ggml.tokens', 'no tokens', { 'ggml.tokens': [] }],
    ['ggml.tokens', 'a token that is a number', { 'ggml.tokens': ['a', 5] }],
    ['ggml.tokens', 'a giant token', { 'ggml.tokens': ['a'.repeat(5000)] }],
    ['ggml.token_type', 'types of another length', { 'ggml.token_type': Int32Array.of(1) }],
    [
      'ggml.token_type',
      'types that are texts',
      { 'ggml.token_type': ['1', '1', '1', '3', '4', '1'] },
    ],
    ['ggml.merges', 'merges that are numbers', { 'ggml.merges': [1, 2] }],
    ['ggml.eos_token_id', 'an id past the end', { 'ggml.eos_token_id': 6 }],
    ['ggml.eos_token_id', 'an id too large for a number', { 'ggml.eos_token_id': 2n ** 60n }],
    ['ggml.bos_token_id', 'an id that is a fraction', { 'ggml.bos_token_id': 0.5 }],
    ['ggml.add_bos_token', 'a switch that is a number', { 'ggml.add_bos_token': 1 }],
    ['chat_template', 'a template that is a number', { chat_template: 1 }],
    ['chat_template', 'a giant template', { chat_template: 'x'.repeat(1 << 19) }],
    ['huggingface.json', 'an embedded file that is no JSON', { 'huggingface.json': '{' }],
    [
      'huggingface.json',
      'an embedded file of four million values',
      { 'huggingface.json': `[${'{},'.repeat(2 << 20)}{}]` },
    ],
  ])('%s: %s is an error that names the key', (key, _, change) => {
    const load = () => tokenizerFromGguf(metadata({ ...BYTE_LEVEL, ...change }))
    expect(load).toThrow(FormatError)
    expect(load).toThrow(expect.objectContaining({ field: `tokenizer.${key}` }))
  })

  test('more special tokens than any model has are an error', () => {
    const count = (1 << 16) + 1
    const keys = {
      ...BYTE_LEVEL,
      'ggml.tokens': Array.from({ length: count }, (_, i) => `t${i}`),
      'ggml.token_type': new Int32Array(count).fill(3),
      'ggml.merges': [],
    }
    expect(() => tokenizerFromGguf(metadata(keys))).toThrow(
      expect.objectContaining({ field: 'tokenizer.ggml.token_type' }),
    )
  })

  test('scores that are missing, of another length or infinite are errors', () => {
    const { 'ggml.scores': _, ...without } = SENTENCEPIECE
    const infinite = new Float32Array(266).fill(Number.NaN)
    for (const keys of [
      without,
      { ...SENTENCEPIECE, 'ggml.scores': Float32Array.of(1) },
      { ...SENTENCEPIECE, 'ggml.scores': infinite },
    ]) {
      expect(() => tokenizerFromGguf(metadata(keys))).toThrow(
        expect.objectContaining({ field: 'tokenizer.ggml.scores' }),
      )
    }
  })
})
