/**
 * `bitnet tokenizer train` as a user runs it: files to a folder that training, chat and the Rust library take.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { Tokenizer } from '@anush008/tokenizers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FormatError, UsageError } from '../src/errors.ts'
import { loadModel } from '../src/node/load-model.ts'
import { openRunTokenizer } from '../src/node/train/tokenizer-folder.ts'
import { train } from '../src/node/train/train.ts'
import { type TrainTokenizerOptions, trainTokenizer } from '../src/node/train/train-tokenizer.ts'
import { WordThreads } from '../src/node/train/word-threads.ts'
import { randomTexts } from './support/random-texts.ts'

const folder = mkdtempSync(join(tmpdir(), 'bitnet-tokenizer-'))
const data = join(folder, 'texts')

const SENTENCES = [
  'The quick brown fox jumps over the lazy dog.',
  '吾輩は猫である。名前はまだ無い。',
  'らーめんとカレーライスを食べました。',
  'It’s the 12th of November 2026, isn’t it?',
]

beforeAll(() => {
  mkdirSync(data)
  const lines = Array.from({ length: 400 }, (_, i) => `${SENTENCES[i % 4]} ${i}`)
  writeFileSync(join(data, 'a.txt'), lines.join('\n'))
  writeFileSync(join(data, 'b.txt.gz'), gzipSync(lines.reverse().join('<|endoftext|>')))
  const talk = {
    messages: [
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hello, friend' },
    ],
  }
  writeFileSync(
    join(data, 'c.jsonl'),
    `${JSON.stringify(talk)}\n${JSON.stringify({ text: 'friend' })}\n`,
  )
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function trainInto(name: string, options: Partial<TrainTokenizerOptions> = {}) {
  return trainTokenizer({ data: [data], out: join(folder, name), vocabulary: 400, ...options })
}

test('one tokenizer comes of the same text, whatever the number of threads', async () => {
  const report = await trainInto('one', { threads: 1 })
  await trainInto('three', { threads: 3 })
  for (const name of readdirSync(join(folder, 'one'))) {
    const read = (of: string) => readFileSync(join(folder, of, name), 'utf8')
    expect(read('three'), name).toBe(read('one'))
  }
  expect(report.vocabulary).toBe(400)
  expect(report.merges).toBe(400 - 6 - 256)
  expect(report.bytesPerToken).toBeGreaterThan(2)
})

test('it reads as in the Rust library, and gives every text back', async () => {
  const out = join(folder, 'read')
  await trainInto('read', { special: ['<|pad|>', '[MASK]'] })
  const { tokenizer } = await openRunTokenizer(out, {})
  const reference = Tokenizer.fromFile(join(out, 'tokenizer.json'))
  const texts = [...SENTENCES, 'Hello<|pad|>[MASK]friend', ...randomTexts(3, 300)]
  const theirs = await reference.encodeBatch(texts, { addSpecialTokens: true })
  expect(texts.map((text) => tokenizer.encode(text, { parseSpecial: true }))).toEqual(
    theirs.map((encoding) => [...encoding.getIds()]),
  )
  for (const text of texts.map((own) => own.toWellFormed())) {
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
  }
  expect(tokenizer.encode('<|pad|>', { parseSpecial: true })).toEqual([0, 6])
})

test('a model is trained on it, and talks', async () => {
  await trainInto('words')
  const run = { data: [data], out: join(folder, 'run'), tokenizer: join(folder, 'words') }
  const report = await train({ ...run, steps: 3, batch: 2, length: 32, threads: 1 })
  await using model = await loadModel(report.checkpoint, { threads: 1 })
  expect(model.config.vocabSize).toBe(400)
  const ids = model.tokenizer.encodeChat([{ role: 'user', content: 'Hello' }])
  expect(model.tokenizer.decode(ids, { skipSpecial: false })).toBe(
    '<|begin_of_text|><|user|>Hello<|eot_id|><|assistant|>',
  )
  const { result } = model.generate('The quick', { maxTokens: 4, temperature: 0 })
  expect((await result).tokenIds.length).toBeLessThanOrEqual(4)
})

test('a source counts as often as its weight says', async () => {
  const [light, heavy] = [join(folder, 'light.txt'), join(folder, 'heavy.txt')]
  writeFileSync(light, 'abab cdcd cdcd')
  writeFileSync(heavy, 'efef')
  const first = async (name: string, weight: number) => {
    await trainTokenizer({
      ...{ data: [light, `${heavy}=${weight}`], out: join(folder, name) },
      ...{ vocabulary: 263, minFrequency: 1, threads: 2 },
    })
    return JSON.parse(readFileSync(join(folder, name, 'tokenizer.json'), 'utf8')).model.merges[0]
  }
  expect(await first('by-one', 1)).toEqual(['c', 'd'])
  expect(await first('by-five', 5)).toEqual(['e', 'f'])
})

test('too many words: the rarer half is forgotten, and of several threads the same', async () => {
  const tables = await Promise.all(
    [1, 3].map(async (threads) => {
      const counting = new WordThreads({ threads, maxWords: 400 })
      try {
        for (const text of randomTexts(8, 200)) {
          await counting.add(text, 1)
          await counting.endOfSource(1)
        }
        return { words: await counting.take(), forgotten: counting.forgotten }
      } finally {
        await counting.dispose()
      }
    }),
  )
  expect(tables[0].words.ends.length).toBeLessThanOrEqual(400)
  expect(tables[0].forgotten).toBeGreaterThan(100)
  expect(tables[1]).toEqual(tables[0])
})

test.each([
  [{ vocabulary: 200 }, /Expected a vocabulary of 262 .* got 200/],
  [{ special: ['pad'] }, /angle or square brackets/],
  [{ special: ['<|user|>'] }, /got <\|user\|> again/],
  [{ vocab_size: 5 }, /vocabulary/],
] as const)('options %j are refused', async (options, message) => {
  const trained = trainInto('refused', options as Partial<TrainTokenizerOptions>)
  await expect(trained).rejects.toThrow(UsageError)
  await expect(trained).rejects.toThrow(message)
})

test('a folder with a tokenizer, nothing to learn from and damaged text are refused', async () => {
  await trainInto('twice')
  await expect(trainInto('twice')).rejects.toThrow(/is there already/)
  const empty = join(folder, 'empty.txt')
  writeFileSync(empty, '')
  await expect(trainInto('none', { data: [empty] })).rejects.toThrow(
    /Expected text in .*empty\.txt/,
  )
  const damaged = join(folder, 'damaged.txt')
  writeFileSync(damaged, Buffer.from([0x61, 0xff, 0xfe, 0xe3, 0x81]))
  await expect(trainInto('none', { data: [damaged] })).rejects.toThrow(FormatError)
  await expect(trainInto('none', { signal: AbortSignal.abort() })).rejects.toThrow(/abort/)
})
