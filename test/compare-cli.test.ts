/**
 * `bitnet compare` from end to end, in this process, with a size and counts so small that only the form
 * of the results means something.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ComparisonReport } from '../src/cli/commands/compare/compare-report.ts'
import { bitnet, buildProgram, hasEmbeddedModel } from './support/built-program.ts'

let folder: string
beforeAll(async () => {
  await buildProgram()
  folder = await mkdtemp(join(tmpdir(), 'bitnet-compare-cli-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const SMALL = '--prompt-tokens 4 --decode 2 --runs 1'.split(' ')

describe('compare with random weights', () => {
  test('gives every column, a report in two languages and the charts', async () => {
    const html = join(folder, 'report.html')
    const charts = join(folder, 'charts')
    const sizes = ['--size', '125m', '--columns', 'fp16,b1.58', '--memory-limit', '600MB']
    const files = ['--html', html, '--charts', charts, '--json']
    const { code, out, err } = await bitnet(['compare', ...sizes, ...SMALL, ...files])
    expect(code, err).toBe(0)
    const report = JSON.parse(out) as ComparisonReport
    expect(report).toMatchObject({ promptTokens: 4, decodeTokens: 2, memoryLimit: 600e6 })
    const [fp16, ternary] = report.groups[0].results
    expect([fp16.name, ternary.name]).toEqual(['fp16', 'b1.58'])
    expect(fp16.memory.layerBytes / ternary.memory.layerBytes).toBeGreaterThan(7)
    expect(ternary.latency?.decodeMs.min).toBeGreaterThan(0)
    expect(ternary.throughput?.batch).toBeGreaterThan(1)
    const page = await readFile(html, 'utf8')
    expect(page).not.toContain('<script')
    expect(page).not.toMatch(/(src|href)="/)
    expect(page).toContain('lang="ja"')
    const less = (bytes: number, by: number) => (bytes / by).toFixed(1)
    const all = ({ memory, cacheBytes }: typeof fp16) =>
      memory.layerBytes + memory.tableBytes + cacheBytes
    const [title] = /<h1>[^<]*/.exec(page) ?? []
    expect(title).toMatch(
      new RegExp(
        `b1.58 beside fp16, at 125m: .*, ${less(all(fp16), all(ternary))} times less memory`,
      ),
    )
    expect(page).toContain(`<dd>${report.date.slice(0, 10)}`)
    expect(page).toContain(`<dd>bitnet-ts ${report.version}</dd>`)
    expect(report.command).toMatch(/^bitnet compare --size 125m --columns fp16,b1\.58 /)
    expect(page).toContain(`<dd>${report.command}</dd>`)
    expect(page).toMatch(/[\d.]+ [µm]J/)
    // What this machine could not run is in no legend.
    expect(page).not.toContain('>int8<')
    const names = await readdir(charts)
    expect(names).toContain('decode-latency.svg')
    const png = await readFile(join(charts, 'decode-latency.png'))
    expect(png.subarray(1, 4).toString()).toBe('PNG')
  })

  test('says what does not fit, with its memory all the same', async () => {
    const flags = ['--size', '7b', '--columns', 'fp16', '--memory-limit', '1GB']
    const { code, out, err } = await bitnet(['compare', ...flags, ...SMALL])
    expect(code, err).toBe(0)
    expect(out).toMatch(/not run +7b fp16 needs 13\.\d GB, the memory limit is 1\.0 GB/)
    expect(out).toMatch(/^7b +fp16 +13\.\d GB/m)
  })

  test.each([
    [['--size', '8t'], /one of .*3\.9b.* got "8t"/],
    [['--memory-limit', 'much'], /a number of bytes/],
    [['--tasks', 'piqa'], /models with --tasks/],
    [['one.gguf'], /two models or more.* one with --also, --speculate or --draft/],
    [['--speculate'], /models with --speculate and --draft: how often a guess is right/],
    [['--also', 'kv=int8'], /models with --also/],
    [['one.gguf', '--also', 'kv=f64'], /one of f32, f16, int8, int4/],
    [
      ['one.gguf', '--also', 'size=3b'],
      /one of backend, head, weights, sparse, kv, matmulPrecision, isa, cacheMemory, threads/,
    ],
    [
      ['a.gguf', 'b.gguf', '--prompt', 'x'],
      /--prompt and --max-tokens with --speculate or --draft/,
    ],
    [['a.gguf', 'b.gguf', '--tasks', 'piqa', '--head', 'int4'], /logits are all exact/],
    [['a.gguf', 'b.gguf', '--size', '3b'], /without models/],
    [['--charts', 'x', '--font', 'no-such.ttf'], /font file .* no-such.ttf/],
    [['--html', 'no-such-folder/report.html'], /--html to name a file in a folder that is there/],
    [['--html', 'docs'], /--html to name a file .* got docs/],
    [['--lang', 'fr'], /one of en, ja/],
  ])('refuses %j with exit code 2', async (flags, message) => {
    const { code, err } = await bitnet(['compare', ...flags])
    expect(code).toBe(2)
    expect(err).toMatch(message)
  })
})

test('a report in Japanese has Japanese headings, columns and facts, in the terminal and as a page', async () => {
  const html = join(folder, 'ja.html')
  const sizes = ['--size', '125m', '--columns', 'fp16,b1.58', '--memory-limit', '200MB']
  const flags = ['--lang', 'ja', '--html', html]
  const { code, out, err } = await bitnet(['compare', ...sizes, ...SMALL, ...flags])
  expect(code, err).toBe(0)
  expect(out).toMatch(/^b1\.58はfp16に比べて速さは未測定、メモリは[\d.]+分の1（サイズ125m）$/m)
  expect(out).toMatch(/^サイズ +重み +層 +埋め込みとヘッド +KVキャッシュ +合計/m)
  expect(out).toMatch(/^未実行 +125m fp16/m)
  expect(out).not.toMatch(/^(date|machine|runs|load) /m)
  const page = await readFile(html, 'utf8')
  expect(page).toContain('<html lang="ja">')
  expect(page).toContain('>サイズ</th>')
  expect(page).toContain('<dt>コマンド</dt><dd>bitnet compare')
})

describe.skipIf(!hasEmbeddedModel())('compare with models', () => {
  test('measures both and leaves the paper out', async () => {
    const models = ['bitnet-ja-en-58m', 'bitnet-ja-en-58m']
    const { code, out, err } = await bitnet(['compare', ...models, ...SMALL, '--markdown'])
    expect(code, err).toBe(0)
    expect(out.match(/^\| models \| bitnet-ja-en-58m \|/gm)?.length).toBeGreaterThanOrEqual(6)
    expect(out).not.toContain('paper |')
  })

  test('shows what other settings and guesses change of one model', async () => {
    const model = 'bitnet-ja-en-58m'
    const guesses = [
      '--speculate',
      '--draft',
      model,
      '-p',
      'Once upon a time, there was a little girl',
      '-n',
      '12',
    ]
    const flags = ['--also', 'kv=int8,head=int8', ...guesses, '--json']
    const { code, out, err } = await bitnet(['compare', model, ...flags, ...SMALL])
    expect(code, err).toBe(0)
    const { results } = (JSON.parse(out) as ComparisonReport).groups[0]
    expect(results.map(({ name }) => name)).toEqual([model, `${model} kv=int8 head=int8`])
    const [plain, other] = results
    expect(other.memory.cacheBytesPerToken).toBeLessThan(plain.memory.cacheBytesPerToken)
    for (const { speculation = [] } of results) {
      expect(speculation.map(({ guesser }) => guesser)).toEqual(['prompt lookup', model])
      for (const { tokensPerPass } of speculation) expect(tokensPerPass).toBeGreaterThanOrEqual(1)
    }
  })
})
