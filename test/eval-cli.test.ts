/**
 * `bitnet eval` and `bitnet perplexity` as built programs with the embedded model, on invented items:
 * what goes where, refusals, a hub of this test's own, and a run that is killed.
 */
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EvalSample } from '../src/eval/evaluate.ts'
import { bitnet, buildProgram, hasEmbeddedModel, startBitnet } from './support/built-program.ts'
import { FakeHub } from './support/fake-hub.ts'

const ITEMS = 150
let folder = ''
let env: Record<string, string>

beforeAll(async () => {
  await buildProgram()
  folder = await mkdtemp(join(tmpdir(), 'eval-cli-'))
  env = { HOME: folder, XDG_CACHE_HOME: join(folder, 'cache') }
  const items = Array.from({ length: ITEMS }, (_, i) => ({
    query: `Question: Which of these comes after ${i} when one counts slowly and aloud?`,
    choices: [`the number ${i + 1}`, `the number ${i * 7}`, 'a small blue boat'],
    gold: i % 3,
  }))
  await fileWith('arc_easy.jsonl', items.map((item) => JSON.stringify(item)).join('\n'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function fileWith(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}

async function linesOf(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.split('\n').slice(0, -1)
}

const evalArgs = (...more: string[]) => [
  ...['eval', '--tasks', 'arc_easy', '--data-dir', folder, '--threads', '2', ...more],
]

describe('refused before a model is loaded', () => {
  test.each([
    [['eval'], "required option '--tasks"],
    [['eval', '--tasks', 'arc_eazy'], 'Expected tasks out of arc_easy'],
    [['eval', '--tasks', 'piqa', '--head', 'int4'], 'Use --head f16 or --head int8'],
    [['eval', '--tasks', 'piqa', '--limit', '0'], 'Expected a whole number >= 1'],
    [['eval', '--tasks', 'piqa', '--dataset', 'piqa=x'], 'Expected TASK=owner/name'],
    [['eval', '--tasks', 'piqa', '--dataset', 'piqa=a/b', '--data-dir', '.'], 'got both'],
    [['perplexity'], "missing required argument 'file'"],
    [['perplexity', '-', '--head', 'int4'], 'Use --head f16 or --head int8'],
    [['perplexity', '-', '--window', '0'], 'Expected a whole number >= 1'],
    [['perplexity', '-', '--preset', 'other'], 'bitnet-paper'],
  ])('%j exits with 2', async (args, message) => {
    const { code, out, err } = await bitnet(args, { env })
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(message)
  })
})

describe.skipIf(!hasEmbeddedModel())('bitnet eval (needs the embedded model)', () => {
  test('--json has the results by task, the model, the settings, and nothing beside', async () => {
    const samples = join(folder, 'samples.jsonl')
    const args = evalArgs('--limit', '3', '--json', '--no-resume', '--samples', samples)
    const { code, out, err } = await bitnet(args, { env })
    expect(code, err).toBe(0)
    const share = expect.any(Number)
    const report = JSON.parse(out)
    expect(Object.keys(report)).toEqual(['results', 'model', 'config'])
    expect(report.results.arc_easy).toMatchObject({
      ...{ n: 3, acc: share, acc_norm: share, acc_bytes: share, stderr: share },
      chance: expect.closeTo(1 / 3, 9),
    })
    expect(report.config).toMatchObject({ limit: 3, numFewshot: 0, dataDir: folder, datasets: {} })
    const written = (await linesOf(samples)).map((line) => JSON.parse(line) as EvalSample)
    expect(written.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(written[0].continuations).toEqual([
      ' the number 1',
      ' the number 0',
      ' a small blue boat',
    ])
    const right = written.filter(({ prediction, gold }) => prediction === gold).length
    expect(report.results.arc_easy.acc).toBeCloseTo(right / 3, 9)
    for (const { loglikelihood } of written) {
      expect(loglikelihood.every((value) => value < 0)).toBe(true)
    }
  })

  test('--markdown prints a table for a document, with standard errors', async () => {
    const { code, out } = await bitnet(evalArgs('--limit', '3', '--markdown', '--no-resume'), {
      env,
    })
    expect(code).toBe(0)
    expect(out).toMatch(/^\| task \| n \| acc \|.*\n\| --- \|/)
    expect(out).toMatch(/^\| arc_easy \| 3 \| \d+\.\d ± \d+\.\d \|/m)
  })

  test('a run that was killed goes on, and scores each item once', async () => {
    const journal = join(folder, 'killed.jsonl')
    const samples = join(folder, 'resumed.jsonl')
    const killed = startBitnet(evalArgs('--resume', journal), { env })
    while ((await linesOf(journal)).length < 2 && killed.child.exitCode === null) await sleep(1)
    killed.child.kill('SIGKILL')
    expect((await killed.outcome).signal).toBe('SIGKILL')
    const before = await linesOf(journal)
    expect(before.length).toBeGreaterThan(1)
    expect(before.length).toBeLessThan(ITEMS + 1)

    const args = evalArgs('--resume', journal, '--samples', samples, '--json')
    const resumed = await bitnet(args, { env })
    expect(resumed.code, resumed.err).toBe(0)
    expect(JSON.parse(resumed.out).results.arc_easy.n).toBe(ITEMS)
    const after = await linesOf(journal)
    expect(after.slice(0, before.length)).toEqual(before)
    const all = Array.from({ length: ITEMS }, (_, i) => i)
    const indices = after.slice(1).map((line) => (JSON.parse(line) as EvalSample).index)
    expect(indices.toSorted((a, b) => a - b)).toEqual(all)
    const scored = (await linesOf(samples)).map((line) => (JSON.parse(line) as EvalSample).index)
    expect(scored).toEqual(all)
  })

  test('fetches a dataset once, and needs no network the second time', async () => {
    const hub = await FakeHub.start()
    try {
      const fixture = new URL('fixtures/eval/arc_easy.parquet', import.meta.url)
      const rows = new Uint8Array(readFileSync(fileURLToPath(fixture)))
      const files = { 'ARC-Easy/test/0000.parquet': rows }
      hub.repos.set('datasets/allenai/ai2_arc', { files })
      const online = { ...env, HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, 'hub') }
      const args = ['eval', '--tasks', 'arc_easy', '--json', '--no-resume']
      const first = await bitnet(args, { env: online })
      expect(first.code, first.err).toBe(0)
      expect(JSON.parse(first.out).results.arc_easy.n).toBe(2)
      const offline = { ...online, HF_ENDPOINT: 'http://127.0.0.1:1', HF_HUB_OFFLINE: '1' }
      const second = await bitnet(args, { env: offline })
      expect(second.code, second.err).toBe(0)
      expect(second.out).toBe(first.out)
      const missing = await bitnet(['eval', '--tasks', 'piqa'], { env: online })
      expect(missing.code).toBe(1)
      expect(missing.err).toContain('--dataset TASK=owner/name')
    } finally {
      hub.close()
    }
  })
})

describe.skipIf(!hasEmbeddedModel())('bitnet perplexity (needs the embedded model)', () => {
  const text = 'A cat sat by the door.\nIt waited for rain.<|endoftext|>雨が降った。\n'

  async function measured(args: readonly string[], input = '') {
    const { code, out, err } = await bitnet(['perplexity', ...args, '--json'], { env, input })
    expect(code, err).toBe(0)
    return JSON.parse(out)
  }

  test('gives the same for a file as for standard input, and as facts for people', async () => {
    const path = await fileWith('text.txt', text)
    const fromFile = await measured([path])
    expect(await measured(['-'], text)).toEqual(fromFile)
    const bytes = Buffer.byteLength(text)
    expect(fromFile).toMatchObject({ bytes, documents: 1, window: 2048, stride: 2048 })
    expect(fromFile.bits_per_byte).toBeCloseTo(Math.log2(fromFile.byte_perplexity), 9)
    const { out } = await bitnet(['perplexity', path], { env })
    expect(out).toContain(fromFile.bits_per_byte.toFixed(4))
  })

  test('tells of a text without spaces that its words are no words', async () => {
    const path = await fileWith('japanese.txt', 'むかしむかし、おじいさんとおばあさんがいました。')
    const { out } = await bitnet(['perplexity', path], { env })
    expect(out).toMatch(/^word perplexity +\d\.\d\de\+\d+; words are what spaces part$/m)
  })

  test('keeps documents apart, or packs them as in training', async () => {
    const path = await fileWith('documents.txt', text)
    const apart = await measured([path, '--separator', '<|endoftext|>'])
    const packed = await measured([path, '--separator', '<|endoftext|>', '--packed'])
    expect(packed).toMatchObject({ bytes: apart.bytes, documents: 2 })
    // Two end tokens, and the begin token of the second document.
    expect(packed.tokens).toBe(apart.tokens + 3)
  })

  test("scores conversations in the model's chat format", async () => {
    const path = await fileWith('talk.txt', 'User: Hello!\nAssistant: Hello. How are you?\n')
    const chat = await measured([path, '--chat'])
    const plain = await measured([path])
    expect(chat.bytes).toBe(plain.bytes)
    expect(chat.bits_per_byte).toBeLessThan(plain.bits_per_byte)
  })

  test('packs lines as the paper did', async () => {
    const path = await fileWith('lines.txt', 'One line.\n\nAnother line.\n')
    expect(await measured([path, '--preset', 'bitnet-paper'])).toMatchObject({
      ...{ documents: 1, skippedLines: 0, words: 4, window: 2048 },
    })
  })

  test.each([
    [['--window', '4096'], 'from 1 to 2048'],
    [['--window', '8', '--stride', '9'], 'Expected stride to be a whole number from 1 to 8'],
    [['--preset', 'bitnet-paper', '--packed'], 'got both'],
    [['--chat'], 'begins with "no name here"'],
  ])('%j of a text without names exits with 2', async (more, message) => {
    const { code, out, err } = await bitnet(['perplexity', '-', ...more], {
      ...{ env, input: 'no name here' },
    })
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(message)
  })

  test('an empty text, or none, is refused', async () => {
    const empty = await bitnet(['perplexity', '-'], { env, input: ' \n' })
    expect(empty.code).toBe(2)
    expect(empty.err).toContain('at least one token')
    const missing = await bitnet(['perplexity', join(folder, 'nothing.txt')], { env })
    expect(missing.code).not.toBe(0)
    expect(missing.err).toContain('nothing.txt')
  })
})
