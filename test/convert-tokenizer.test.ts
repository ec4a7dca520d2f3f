/**
 * A vocabulary from GGUF as tokenizer.json: texts get the ids that the GGUF vocabulary gives them. Other
 * people's vocabularies lie beside the checkout, if at all.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer } from '@anush008/tokenizers'
import { describe, expect, test } from 'vitest'
import { beginTemplate } from '../src/convert/begin-token.ts'
import { tokenizerFilesOf } from '../src/convert/checkpoint-tokenizer.ts'
import { parseGguf } from '../src/formats/gguf/index.ts'
import { memorySource } from '../src/formats/memory-source.ts'
import type { GgufFile, GgufValue } from '../src/formats/model-file.ts'
import { readConfig } from '../src/model/config/read-config.ts'
import {
  samplingFromGenerationConfig,
  samplingFromGguf,
} from '../src/model/config/sampling-defaults.ts'
import { tokenizerFromGguf, tokenizerFromJson } from '../src/tokenizer/open-tokenizer.ts'
import { sharedPath } from './support/fixtures.ts'
import { SENTENCEPIECE, tokenizerMetadata } from './support/vocabularies.ts'

const VECTORS = sharedPath('tokenizers/vectors')
const MODEL = new URL('../models/bitnet-ja-en-58m.gguf', import.meta.url)

const TEXTS = [
  'Once upon a time, there were 1234 apples.',
  ' two  spaces\n\n\tand a tab ',
  'むかしむかし、おじいさんが🙂いました。',
  "I'll say it's £5 -- naïve?",
  '',
]

/** The files that a GGUF file's metadata become, parsed. */
function filesOf(file: GgufFile, config = readConfig(file)) {
  const files = new Map(
    tokenizerFilesOf(file, config).map(({ name, bytes }) => [
      name,
      JSON.parse(new TextDecoder().decode(bytes)),
    ]),
  )
  return {
    tokenizerJson: files.get('tokenizer.json'),
    tokenizerConfig: files.get('tokenizer_config.json'),
    generationConfig: files.get('generation_config.json'),
  }
}

const withMetadata = (file: GgufFile, metadata: ReadonlyMap<string, GgufValue>) => ({
  ...file,
  metadata,
})

async function embedded(): Promise<GgufFile> {
  return parseGguf(memorySource(readFileSync(MODEL), 'embedded.gguf'))
}

describe('the embedded model', () => {
  test('gives its own tokenizer.json, end tokens, template and sampling', async () => {
    const file = await embedded()
    const files = filesOf(file)
    const [before, after] = [tokenizerFromGguf(file.metadata), tokenizerFromJson(files)]
    for (const text of TEXTS) expect(after.encode(text)).toEqual(before.encode(text))
    expect(after.stopIds).toEqual(before.stopIds)
    const chat = [{ role: 'user', content: 'Hello' }] as const
    expect(after.encodeChat(chat)).toEqual(before.encodeChat(chat))
    const sampling = samplingFromGenerationConfig(files.generationConfig, 'generation_config.json')
    expect(sampling).toEqual(samplingFromGguf(file))
  })

  test('without tokenizer.json inside, one is made of pieces and merges', async () => {
    const file = await embedded()
    const metadata = new Map(file.metadata)
    metadata.delete('tokenizer.huggingface.json')
    metadata.set('tokenizer.ggml.pre', 'llama-bpe')
    const bare = withMetadata(file, metadata)
    const files = filesOf(bare)
    const [before, after] = [tokenizerFromGguf(metadata), tokenizerFromJson(files)]
    for (const text of TEXTS) {
      const ids = before.encode(text)
      expect(after.encode(text), text).toEqual(ids)
      expect(after.decode(ids), text).toBe(before.decode(ids))
    }
    expect(after.stopIds).toEqual(before.stopIds)
    const reference = Tokenizer.fromString(JSON.stringify(files.tokenizerJson))
    for (const { id, content } of files.tokenizerJson.added_tokens) {
      expect(reference.tokenToId(content), content).toBe(id)
    }
    const { vocab, merges } = files.tokenizerJson.model
    const known = new Set(Object.keys(vocab))
    // The Rust library refuses merges of pieces that it does not have.
    for (const merge of merges.slice(0, 2000)) {
      const [left, right] = merge.split(' ')
      expect(known.has(left) && known.has(right) && known.has(left + right), merge).toBe(true)
    }
  })

  test.each([true, false])(
    'the begin token is there in other programs too: %s',
    async (isAdded) => {
      const file = await embedded()
      const metadata = new Map(file.metadata)
      metadata.set('tokenizer.ggml.add_bos_token', isAdded)
      const embeddedJson = JSON.parse(String(metadata.get('tokenizer.huggingface.json')))
      const others = [
        null,
        { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
      ]
      const bos = Number(metadata.get('tokenizer.ggml.bos_token_id'))
      const content = tokenizerFromGguf(metadata).tokenText(bos)
      const ends = {
        ...beginTemplate(content, bos),
        single: [{ Sequence: { id: 'A', type_id: 0 } }],
      }
      const both = { type: 'Sequence', processors: [others[1], beginTemplate(content, bos)] }
      for (const post_processor of [...others, beginTemplate(content, bos), ends, both]) {
        const whole = JSON.stringify({ ...embeddedJson, post_processor })
        metadata.set('tokenizer.huggingface.json', whole)
        const { tokenizerJson } = filesOf(withMetadata(file, metadata), readConfig(file))
        const reference = Tokenizer.fromString(JSON.stringify(tokenizerJson))
        const encoding = await reference.encode('Hello', null, { addSpecialTokens: true })
        const ids = Array.from(encoding.getIds())
        expect(ids).toEqual(tokenizerFromGguf(metadata).encode('Hello'))
        expect(ids[0] === bos).toBe(isAdded)
      }
    },
  )

  test('a vocabulary of an unknown kind gives no tokenizer.json', async () => {
    const file = await embedded()
    const metadata = new Map(file.metadata)
    metadata.delete('tokenizer.huggingface.json')
    metadata.set('tokenizer.ggml.model', 'bert')
    expect(filesOf(withMetadata(file, metadata), readConfig(file)).tokenizerJson).toBeUndefined()
  })
})

test('a SentencePiece vocabulary gives the same ids from tokenizer.json', async () => {
  const file = withMetadata(await embedded(), tokenizerMetadata(SENTENCEPIECE))
  const files = filesOf(file, readConfig(await embedded()))
  const [before, after] = [tokenizerFromGguf(file.metadata), tokenizerFromJson(files)]
  for (const text of [...TEXTS, 'ab', 'bab ab', ' a']) {
    const ids = before.encode(text)
    expect(after.encode(text), text).toEqual(ids)
    expect(after.decode(ids), text).toBe(before.decode(ids))
  }
})

// Where they are missing, the small vocabulary above and the embedded model's are left.
describe.skipIf(!existsSync(VECTORS))('other vocabularies (need ../shared/tokenizers)', () => {
  test.each(['ggml-vocab-gpt-2.gguf', 'ggml-vocab-llama-spm.gguf'])(
    '%s gives the same ids from tokenizer.json',
    async (name) => {
      const file = await parseGguf(memorySource(readFileSync(join(VECTORS, name)), name))
      const config = readConfig(await embedded())
      const [before, after] = [
        tokenizerFromGguf(file.metadata),
        tokenizerFromJson(filesOf(file, config)),
      ]
      const texts = readFileSync(join(VECTORS, `${name}.inp`), 'utf8').split(
        '\n__ggml_vocab_test__\n',
      )
      expect(texts.length).toBeGreaterThan(40)
      for (const text of [...texts, ...TEXTS]) {
        expect(after.encode(text), JSON.stringify(text)).toEqual(before.encode(text))
      }
    },
  )
})
