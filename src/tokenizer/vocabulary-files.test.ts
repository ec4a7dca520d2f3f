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
    addedTokens: { '<x>': 9, '<tag>': 10 },
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
  expect(made.stopIds).toEqual([5])
  expect(made.decode([9, 10])).toBe('<tag>')
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
