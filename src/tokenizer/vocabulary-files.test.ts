/** vocab.json with merges.txt, as transformers makes a tokenizer.json of them. */
import { describe, expect, test } from 'vitest'
import { FormatError } from '../errors.ts'
import type { TokenizerFiles } from '../formats/model-file.ts'
import { tokenizerFromJson } from './open-tokenizer.ts'
import { withTokenizerJson } from './vocabulary-files.ts'

const FILES: TokenizerFiles = {
  vocabJson: { a: 0, b: 1, c: 2, ab: 3, Ġ: 4, '<|endoftext|>': 5, é: 6, '1': 7, '11': 8 },
  mergesText: '#version: 0.2\na b\n1 1\n',
}

function tokenizer(files: TokenizerFiles) {
  const { tokenizerJson, ...beside } = withTokenizerJson({ ...FILES, ...files })
  return tokenizerFromJson({ tokenizerJson, ...beside })
}

test("files that name no class are cut by GPT-2's rule", () => {
  expect(tokenizer({}).encode('ab c11')).toEqual([3, 4, 2, 8])
  expect(tokenizer({}).decode([3, 4, 2])).toBe('ab c')
})

test("Qwen 2's class cuts digits apart", () => {
  const tokenizerConfig = { tokenizer_class: 'Qwen2Tokenizer' }
  expect(tokenizer({ tokenizerConfig }).encode('11')).toEqual([7, 7])
})

test('special tokens come from special_tokens_map.json, added_tokens.json and tokenizer_config.json', () => {
  const made = tokenizer({
    specialTokensMap: {
      eos_token: { content: '<|endoftext|>' },
      additional_special_tokens: ['<x>'],
    },
    addedTokens: { '<x>': 9, '<tag>': 10, '<far>': 14 },
    tokenizerConfig: {
      bos_token: '<s>',
      add_bos_token: true,
      added_tokens_decoder: { 11: { content: '<s>', special: true, lstrip: true } },
    },
  })
  expect(made.encode('a<x><tag>b<|endoftext|>', { parseSpecial: true })).toEqual([
    11, 0, 9, 10, 1, 5,
  ])
  expect(made.encode('a <s>', { parseSpecial: true })).toEqual([11, 0, 11])
  expect(made.encode('<tag>')).toEqual([11, 10])
  expect(made.encode('<far>', { addBos: false })).toEqual([14])
  expect(made.stopIds).toEqual([5])
  expect(made.decode([9, 10])).toBe('<tag>')
})

describe('beside a tokenizer.json', () => {
  const tokenizerJson = {
    added_tokens: [{ id: 3, content: '<s>', special: true, lstrip: false }],
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: { a: 0, b: 1, Ġ: 2 }, merges: [] },
  }
  const read = (files: TokenizerFiles) => tokenizer({ tokenizerJson, ...files })
  const ids = (files: TokenizerFiles, text: string) => {
    return read(files).encode(text, { parseSpecial: true, addBos: false })
  }
  const NEW = { content: '<x>', special: true }

  test('tokens that tokenizer_config.json describes are added, with the next free ids', () => {
    const described = { 9: { ...NEW, content: '<y>', special: false }, 7: NEW }
    const files = { tokenizerConfig: { added_tokens_decoder: described } }
    expect(ids(files, 'a<x> <y>')).toEqual([0, 4, 2, 5])
    expect(read(files).decode([0, 4, 5])).toBe('a<y>')
  })

  test('what it says of a token goes before what tokenizer.json says', () => {
    const described = { 3: { content: '<s>', special: true, lstrip: true } }
    const files = { tokenizerConfig: { added_tokens_decoder: described } }
    expect(ids(files, 'a <s>')).toEqual([0, 3])
    expect(ids({}, 'a <s>')).toEqual([0, 2, 3])
  })

  test('named tokens are special ones, new or of the vocabulary', () => {
    const files = {
      tokenizerConfig: { eos_token: '<x>', extra_special_tokens: ['ab', { content: '<z>' }] },
      specialTokensMap: { pad_token: 'b', additional_special_tokens: ['<w>'] },
    }
    expect(ids(files, 'a<x>ab<z><w>b')).toEqual([0, 4, 6, 7, 5, 1])
    expect(read(files).decode([0, 4, 6])).toBe('a')
    expect(read(files).stopIds).toEqual([4])
  })

  test('added_tokens.json and special_tokens_map.json count beside an older tokenizer_config.json only', () => {
    const older = {
      addedTokens: { '<x>': 8 },
      specialTokensMap: { eos_token: 'b' },
      tokenizerConfig: { eos_token: 'a' },
    }
    expect(ids(older, '<x>')).toEqual([4])
    expect(read(older).stopIds).toEqual([1])
    const tokenizerConfig = { eos_token: 'a', added_tokens_decoder: {} }
    const newer = { ...older, tokenizerConfig }
    expect(ids(newer, '<x>')).not.toEqual([4])
    expect(read(newer).stopIds).toEqual([0])
  })
})

test('a tokenizer.json or tokenizer.model goes before them', () => {
  const tokenizerJson = { model: {} }
  expect(withTokenizerJson({ ...FILES, tokenizerJson }).tokenizerJson).toBe(tokenizerJson)
  const tokenizerModel = Uint8Array.of(10)
  expect(withTokenizerJson({ ...FILES, tokenizerModel }).tokenizerJson).toBeUndefined()
})

describe('files that do not tell enough are refused', () => {
  test.each<[string, TokenizerFiles, string]>([
    ['a vocabulary without merges', { mergesText: undefined }, 'merges.txt'],
    ['merges without a vocabulary', { vocabJson: undefined }, 'vocab.json'],
    [
      'another class',
      { tokenizerConfig: { tokenizer_class: 'RobertaTokenizer' } },
      'tokenizer_class',
    ],
    ['a space in front', { tokenizerConfig: { add_prefix_space: true } }, 'add_prefix_space'],
    ['merges of pieces that are missing', { mergesText: 'b c\n' }, 'model.merges'],
    ['an id that is none', { addedTokens: { x: 'y' } }, 'added_tokens'],
  ])('%s', (_, files, field) => {
    expect(() => tokenizer(files)).toThrow(FormatError)
    expect(() => tokenizer(files)).toThrow(expect.objectContaining({ field }))
  })
})
