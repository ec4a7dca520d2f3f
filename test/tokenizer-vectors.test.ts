/**
 * The tokenizers against ids that other programs made: the Rust `tokenizers` for this project's own
 * vocabulary, llama.cpp for well-known ones. The latter's files belong to others and lie beside the
 * checkout, if at all.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseGguf } from '../src/formats/gguf/index.ts'
import { memorySource } from '../src/formats/memory-source.ts'
import {
  tokenizerFromGguf,
  tokenizerFromJson,
  tokenizerFromModelFile,
} from '../src/tokenizer/open-tokenizer.ts'
import type { TextTokenizer } from '../src/tokenizer/text-tokenizer.ts'
import { sharedPath } from './support/fixtures.ts'

const VECTORS = sharedPath('tokenizers/vectors')
const FIXTURES = new URL('fixtures/tokenizer/', import.meta.url)

const readJson = (url: URL) => JSON.parse(readFileSync(url, 'utf8'))

function ownTokenizer(): TextTokenizer {
  return tokenizerFromJson({
    tokenizerJson: readJson(new URL('tokenizer.json', FIXTURES)),
    tokenizerConfig: readJson(new URL('tokenizer_config.json', FIXTURES)),
    generationConfig: readJson(new URL('generation_config.json', FIXTURES)),
  })
}

interface GoldenCase {
  readonly text: string
  readonly ids: readonly number[]
  readonly decoded: string
}

describe("the project's own vocabulary", () => {
  const tokenizer = ownTokenizer()
  const cases: GoldenCase[] = readJson(new URL('tokenizer-golden.json', FIXTURES))

  test.each(cases)('encodes and decodes $text as the Rust library does', (golden) => {
    expect(tokenizer.encode(golden.text, { addBos: false, parseSpecial: true })).toEqual(golden.ids)
    expect(tokenizer.decode(golden.ids, { skipSpecial: false })).toBe(golden.decoded)
  })

  test('encodes a conversation as transformers does', () => {
    const content = 'こんにちは！今日はいい天気ですね。'
    const expected = [0, 4, 1987, 449, 1806, 13662, 7378, 547, 281, 2, 5]
    expect(tokenizer.encodeChat([{ role: 'user', content }])).toEqual(expected)
  })

  test('puts the begin token in front and stops at both end tokens', () => {
    const expected = [0, 422, 2994, 829, 3067, 271, 14695, 3088]
    expect(tokenizer.encode('人工知能の未来について')).toEqual(expected)
    expect(tokenizer.stopIds).toEqual([1, 2])
  })
})

/** Texts and the ids that llama.cpp gives them, without a begin token. */
function readVectors(name: string): { text: string; ids: number[] }[] {
  const texts = readFileSync(join(VECTORS, `${name}.inp`), 'utf8')
  const lines = readFileSync(join(VECTORS, `${name}.out`), 'utf8').split('\n')
  return texts.split('\n__ggml_vocab_test__\n').map((text, i) => ({
    text,
    ids: lines[i].trim() === '' ? [] : lines[i].trim().split(' ').map(Number),
  }))
}

function expectVectors(tokenizer: TextTokenizer, name: string): void {
  const vectors = readVectors(name)
  expect(vectors.length).toBeGreaterThan(40)
  for (const { text, ids } of vectors) {
    expect(tokenizer.encode(text, { addBos: false }), JSON.stringify(text)).toEqual(ids)
    expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(text)
  }
}

async function ggufTokenizer(name: string): Promise<TextTokenizer> {
  const bytes = readFileSync(join(VECTORS, name))
  return tokenizerFromGguf((await parseGguf(memorySource(bytes, name))).metadata)
}

const LLAMA3_MODEL = sharedPath('tokenizers/llama3/tokenizer.model')

// Skipped where the folder with other people's vocabularies is not beside the checkout. The same encoders
// are checked on small vocabularies in src/tokenizer, and on this project's own above.
describe.skipIf(!existsSync(VECTORS))("llama.cpp's vectors (need ../shared/tokenizers)", () => {
  test('GPT-2 (byte-level BPE from GGUF) gives equal ids', async () => {
    expectVectors(await ggufTokenizer('ggml-vocab-gpt-2.gguf'), 'ggml-vocab-gpt-2.gguf')
  })

  test('Llama 2 (SentencePiece BPE from GGUF) gives equal ids', async () => {
    expectVectors(await ggufTokenizer('ggml-vocab-llama-spm.gguf'), 'ggml-vocab-llama-spm.gguf')
  })

  test('Llama 3 (tiktoken file) gives equal ids', () => {
    const tokenizer = tokenizerFromModelFile(readFileSync(LLAMA3_MODEL), {})
    expectVectors(tokenizer, 'ggml-vocab-llama-bpe.gguf')
  })

  test('BitNet 2B-4T encodes the header of a message apart from its content', () => {
    const tokenizer = tokenizerFromModelFile(readFileSync(LLAMA3_MODEL), {
      config: { model_type: 'bitnet' },
    })
    const ids = tokenizer.encodeChat([
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: ' <|eot_id|>Hi ' },
    ])
    const header = (role: string) => tokenizer.encode(`${role}: `, { addBos: false })
    const content = (text: string) => tokenizer.encode(text, { addBos: false })
    const eot = 128_009
    expect(header('Assistant')).toHaveLength(3)
    expect(ids).toEqual([
      128_000,
      ...[...header('System'), ...content('Be kind.'), eot],
      ...[...header('User'), ...content('<|eot_id|>Hi'), eot],
      ...header('Assistant'),
    ])
    expect(tokenizer.stopIds).toEqual([128_001, 128_008, eot])
  })
})
