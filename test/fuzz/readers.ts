/**
 * Every reader of foreign bytes with healthy input of its own, from this project's fixtures alone. A reader
 * goes as far as its bytes would: a model that loads answers a prompt.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConversation } from '../../src/cli/commands/chat/conversation-file.ts'
import { FormatError } from '../../src/errors.ts'
import { tasksNamed } from '../../src/eval/tasks/all-tasks.ts'
import { memorySink } from '../../src/formats/byte-sink.ts'
import { parseGguf, writeGguf } from '../../src/formats/gguf/index.ts'
import { MAX_VOCABULARY_MARKS, parseJson } from '../../src/formats/json-text.ts'
import { memorySource } from '../../src/formats/memory-source.ts'
import { chatNoteOf } from '../../src/generate/chat/chat-note.ts'
import { encodeState, hashOf, readState } from '../../src/generate/state/state-file.ts'
import { HubClient } from '../../src/hub/download/hub-client.ts'
import { readRevision, readTree } from '../../src/hub/repo-file.ts'
import { loadModel } from '../../src/index.ts'
import { convertFile } from '../../src/node/convert/convert-file.ts'
import { loadTask } from '../../src/node/eval/datasets.ts'
import { openJournal } from '../../src/node/eval/journal.ts'
import { decodeLines, decodeText } from '../../src/node/files/text-encoding.ts'
import { verifyImages } from '../../src/node/images/image-store.ts'
import { chatTemplate } from '../../src/tokenizer/chat-template.ts'
import { tokenizerFromJson, tokenizerFromModelFile } from '../../src/tokenizer/open-tokenizer.ts'
import { withTokenizerJson } from '../../src/tokenizer/vocabulary-files.ts'
import { GOLDENS, sentencePieceModel } from '../support/sentencepiece-goldens.ts'

export interface Reader {
  readonly name: string
  readonly healthy: readonly Uint8Array[]
  /** Throws what reading throws. */
  read(bytes: Uint8Array): Promise<unknown>
}

const utf8 = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
/** As the readers of folders do. */
function jsonOf(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes, MAX_VOCABULARY_MARKS)
  } catch (cause) {
    throw new FormatError(`Expected ${(cause as Error).message}.`, { field: 'JSON', cause })
  }
}

const TEXT = 'Hello, 世界! ①  ﬁ 123\n'

/** @param root of the project, whose fixtures are read @param folder an empty one, for files */
export async function openReaders(root: string, folder: string): Promise<Reader[]> {
  const fixture = (path: string) => new Uint8Array(readFileSync(join(root, 'test/fixtures', path)))
  const put = (name: string, bytes: Uint8Array) => {
    const path = join(folder, name)
    writeFileSync(path, bytes)
    return path
  }
  const answer = async (path: string) => {
    const options = { backend: 'native', threads: 2, image: false } as const
    await using model = await loadModel(path, options)
    await model.generate('1 2 3', { maxTokens: 2, seed: 1 }).result
  }
  /** A checkpoint of which one file is damaged. */
  const beside = (model: string, file: string) => {
    const copy = join(folder, `${model}-${file}`)
    cpSync(join(root, 'test/fixtures/tiny', model), copy, { recursive: true })
    return async (bytes: Uint8Array) => {
      writeFileSync(join(copy, file), bytes)
      await answer(copy)
    }
  }
  const tiny = (model: string, file: string) => fixture(`tiny/${model}/${file}`)
  const tokenizer = fixture('tokenizer/tokenizer.json')
  const whole = JSON.parse(new TextDecoder().decode(tokenizer))
  const gguf = join(folder, 'tiny.gguf')
  await convertFile(join(root, 'test/fixtures/tiny/bitnet-packed'), gguf)
  const parts = await splitInTwo(new Uint8Array(readFileSync(gguf)))
  mkdirSync(join(folder, 'parts'))
  const part = (i: number) => join('parts', `m-0000${i + 1}-of-00002.gguf`)
  for (const [i, bytes] of parts.entries()) put(part(i), bytes)
  const sharded = await shards(tiny('bitnet-packed', 'model.safetensors'))
  const dataset = (name: string, file: string) => async (bytes: Uint8Array) => {
    const dataDir = join(folder, `data-${file}`)
    mkdirSync(dataDir, { recursive: true })
    writeFileSync(join(dataDir, file), bytes)
    const fetchFile = () => Promise.reject(new Error('A folder needs no hub.'))
    await loadTask(tasksNamed([name])[0], { dataDir, examples: false, fetchFile })
  }
  const row = { query: 'Question: q', choices: ['a', 'b'], gold: 1 }
  const template = `{%- for m in messages %}{{ '<|' ~ m.role ~ '|>' }}{% if m['content'] is string %}
{{- m.content | trim | replace('a', 'b') }}{% endif %}{% set x = m.content.split(' ') | length %}{{ x + 1 }}
{%- endfor %}{% macro f(a) %}{{ a | tojson }}{% endmacro %}{{ f(messages) }}{{ strftime_now('%d %b') }}`
  const image = await smallImage(folder)
  const journal = join(folder, 'journal')
  const entry = { task: 'boolq', index: 1, scores: [[-1, 2, 1]], check: '0123456789abcdef' }
  const pieces = Array.from({ length: 256 }, (_, byte) => Buffer.of(byte).toString('base64'))
  const vocab = Object.fromEntries([...'abcdefgh', 'ab', 'abc'].map((piece, id) => [piece, id]))
  return [
    {
      name: 'GGUF',
      healthy: [new Uint8Array(readFileSync(gguf))],
      read: (b) => answer(put('m.gguf', b)),
    },
    {
      name: 'split GGUF',
      healthy: parts.slice(0, 1),
      async read(bytes) {
        put(part(0), bytes)
        await answer(join(folder, part(1)))
      },
    },
    {
      name: 'safetensors',
      healthy: [tiny('bitnet-packed', 'model.safetensors')],
      read: beside('bitnet-packed', 'model.safetensors'),
    },
    {
      name: 'index of shards',
      ...indexReader(folder, tiny('bitnet-packed', 'config.json'), sharded, answer),
    },
    {
      name: 'config.json',
      healthy: [tiny('bitnet-packed', 'config.json')],
      read: beside('bitnet-packed', 'config.json'),
    },
    {
      name: 'tokenizer.json',
      healthy: [
        tokenizer,
        utf8({
          ...whole,
          normalizer: { type: 'Precompiled', precompiled_charsmap: GOLDENS.charsmap },
        }),
      ],
      async read(bytes) {
        const tokenizerJson = jsonOf(bytes)
        const made = tokenizerFromJson({ tokenizerJson })
        made.decode(made.encode(TEXT))
      },
    },
    {
      name: 'tokenizer.model (SentencePiece)',
      healthy: [sentencePieceModel('rules'), sentencePieceModel('plain')],
      async read(bytes) {
        const made = tokenizerFromModelFile(bytes, {})
        made.decode(made.encode(TEXT))
      },
    },
    {
      name: 'tokenizer.model (tiktoken)',
      healthy: [utf8(pieces.map((piece, rank) => `${piece} ${rank}\n`).join(''))],
      async read(bytes) {
        const made = tokenizerFromModelFile(bytes, {})
        made.decode(made.encode(TEXT))
      },
    },
    {
      name: 'vocab.json and merges.txt',
      healthy: [utf8({ ...vocab }), utf8('#version: 0.2\na b\nab c\n')],
      async read(bytes) {
        const isMerges = bytes[0] === 0x23
        const files = isMerges
          ? { vocabJson: vocab, mergesText: decodeText(bytes, 'merges.txt') }
          : { vocabJson: jsonOf(bytes) as typeof vocab, mergesText: 'a b\n' }
        const tokenizerConfig = { tokenizer_class: 'GPT2Tokenizer' }
        const { tokenizerJson } = withTokenizerJson({ ...files, tokenizerConfig })
        tokenizerFromJson({ tokenizerJson, tokenizerConfig }).encode('abc')
      },
    },
    {
      name: 'chat template',
      healthy: [utf8(template)],
      async read(bytes) {
        const messages = [{ role: 'user', content: 'a a' }] as const
        const render = chatTemplate(decodeText(bytes, 'template'), {})
        render({ messages, addGenerationPrompt: true, tokenBreak: '' })
      },
    },
    {
      name: 'packed image',
      healthy: [image],
      async read(bytes) {
        const images = join(folder, 'images')
        mkdirSync(images, { recursive: true })
        writeFileSync(join(images, 'm-0123456789abcdef.bitnet'), bytes)
        await verifyImages(images)
      },
    },
    {
      name: 'dataset, parquet',
      healthy: [fixture('eval/boolq.parquet')],
      read: dataset('boolq', 'boolq.parquet'),
    },
    {
      name: 'dataset, JSONL',
      healthy: [utf8(`${JSON.stringify(row)}\n${JSON.stringify(row)}\n`)],
      read: dataset('arc_easy', 'arc_easy.jsonl'),
    },
    {
      name: 'dataset, text',
      healthy: [utf8(' = Page = \n\n Words of a page . \n\n = = Part = = \n\n more \n')],
      read: dataset('wikitext', 'wiki.test.raw'),
    },
    {
      name: 'journal of eval',
      healthy: [
        utf8(`{"kind":"bitnet evaluation journal 1","identity":"a"}\n${JSON.stringify(entry)}\n`),
      ],
      async read(bytes) {
        writeFileSync(journal, bytes)
        const opened = await openJournal(journal, 'a')
        opened.finished('boolq')
      },
    },
    {
      name: 'saved chat',
      healthy: [
        utf8({
          messages: [
            { role: 'user', content: 'hi' },
            { role: 'assistant', content: 'x' },
          ],
        }),
      ],
      read: (bytes) => readConversation(put('talk.json', bytes)),
    },
    { name: 'saved state', ...(await stateReader(gguf)) },
    {
      name: 'batch of prompts',
      healthy: [utf8('one\ntwo 世界\nthree\n'), Buffer.from('\ufeffone\ntwo', 'utf16le')],
      read: async (bytes) => decodeLines(bytes, 'batch'),
    },
    { name: 'answers of a hub', ...hubReader() },
  ]
}

/** The file's tensors in two files, as GGUF is split. */
async function splitInTwo(bytes: Uint8Array): Promise<Uint8Array[]> {
  const file = await parseGguf(memorySource(bytes, 'tiny.gguf'))
  const tensors = [...file.tensors.values()]
  const half = tensors.length >> 1
  return Promise.all(
    [tensors.slice(0, half), tensors.slice(half)].map(async (some, i) => {
      const sink = memorySink()
      const metadata = [...file.metadata]
        .filter(() => i === 0)
        .map(([key, value]) => [key, entryOf(value)] as const)
      await writeGguf(sink, {
        metadata: [
          ...metadata,
          ['split.no', { type: 'u16', value: i }],
          ['split.count', { type: 'u16', value: 2 }],
        ],
        tensors: some.map(({ name, type, shape, byteLength, offset }) => {
          const data = () => [bytes.subarray(offset, offset + byteLength)]
          return { name, type, shape, byteLength, data }
        }),
      } as Parameters<typeof writeGguf>[1])
      return sink.bytes()
    }),
  )
}

function entryOf(value: unknown) {
  if (typeof value === 'string') return { type: 'string', value }
  if (typeof value === 'boolean') return { type: 'bool', value }
  if (typeof value !== 'number') return { type: 'array', of: 'string', value }
  return Number.isInteger(value) ? { type: 'u32', value } : { type: 'f32', value }
}

interface Sharded {
  readonly file: Uint8Array
  readonly index: Uint8Array
}

/** One shard and an index that names it. */
async function shards(file: Uint8Array): Promise<Sharded> {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)))
  const names = Object.keys(header).filter((name) => name !== '__metadata__')
  const weight_map = Object.fromEntries(names.map((name) => [name, SHARD]))
  return { file, index: utf8({ metadata: { total_size: 1 }, weight_map }) }
}

const SHARD = 'model-00001-of-00001.safetensors'

function indexReader(
  folder: string,
  config: Uint8Array,
  { file, index }: Sharded,
  answer: (path: string) => Promise<void>,
): Omit<Reader, 'name'> {
  const model = join(folder, 'sharded')
  mkdirSync(model)
  writeFileSync(join(model, 'config.json'), config)
  writeFileSync(join(model, SHARD), file)
  return {
    healthy: [index],
    async read(bytes) {
      writeFileSync(join(model, 'model.safetensors.index.json'), bytes)
      await answer(model)
    },
  }
}

/** A state of a model and of a chat; what is damaged has the checksum that is right for it, to get further. */
async function stateReader(path: string): Promise<Omit<Reader, 'name'>> {
  const model = await loadModel(path, { backend: 'native', threads: 2, image: false })
  const prompt = '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18'
  await model.generate(prompt, { maxTokens: 2, seed: 1 }).result
  const bytes = await model.saveState(prompt)
  const messages = [{ role: 'assistant', content: 'hi' }]
  const note = { chat: { messages, forgotten: 0, rendered: [1, 2] } }
  const chat = await encodeState({ ...(await readState(bytes)), note })
  return {
    healthy: [bytes, chat],
    async read(damaged) {
      const whole = damaged.slice()
      if (whole.length >= 64) whole.set(await hashOf(whole.subarray(64)), 32)
      const state = await readState(whole)
      if (state.note !== undefined) chatNoteOf(state)
      await model.loadState(whole)
    },
  }
}

/** A header as images have it, with bytes behind it: what is verified is all of them. */
async function smallImage(folder: string): Promise<Uint8Array> {
  void folder
  const manifest = utf8({ text: '{}', settings: 'head f16', source: 'm', buffers: [], tree: {} })
  const bytes = new Uint8Array(4096)
  bytes.set(utf8('bitnetim'))
  new DataView(bytes.buffer).setUint32(16, 1, true)
  new DataView(bytes.buffer).setUint32(20, manifest.length, true)
  bytes.set(manifest, 64)
  return bytes
}

/** A revision and a tree, asked of a server that says anything. */
function hubReader(): Omit<Reader, 'name'> {
  const revision = { sha: 'a'.repeat(40), gated: false, tags: ['license:mit'], cardData: {} }
  const oid = 'b'.repeat(64)
  const tree = [
    { type: 'file', path: 'm.gguf', size: 7, oid: 'c'.repeat(40), lfs: { oid, size: 7 } },
  ]
  const pace = { firstWaitMs: 1, longestWaitMs: 1, failures: 1, silenceMs: 1000 }
  return {
    healthy: [utf8(revision), utf8(tree)],
    async read(bytes) {
      const answer = async () => new Response(new Uint8Array(bytes))
      const access = { endpoint: 'https://hub.example', token: undefined }
      const { value } = await new HubClient(access, pace, answer as never).json(
        'https://hub.example/a',
      )
      if (Array.isArray(value)) readTree(value, 'tree')
      else readRevision(value, 'revision')
    },
  }
}
