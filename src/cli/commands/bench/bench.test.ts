/**
 * The forms of `bitnet bench` in this process, with a tiny model of our own on the reference backend.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type MockSurroundings,
  mockSurroundings,
} from '../../../../test/support/mock-language-model.ts'
import { smallModel } from '../../../../test/support/small-model.ts'
import { createReferenceBackend } from '../../../backends/reference/index.ts'
import { loadEngineAt } from '../../../generate/load/loading.ts'
import type { Decoder } from '../../../model/decoder.ts'
import { runCli } from '../../program.ts'
import type { SpeedReport } from './bench-speed.ts'

/** Counts what is disposed. */
interface BenchSurroundings extends MockSurroundings {
  disposed: number
}

function surroundingsWithEngine(): BenchSurroundings {
  const mock: BenchSurroundings = { ...mockSurroundings(), disposed: 0 }
  const loadEngine: BenchSurroundings['loadEngine'] = async (_source, options = {}) => {
    const place = {
      open: async () => ({ file: smallModel(), tokenizerFiles: {} }),
      openBackend: async () => createReferenceBackend(),
    }
    const engine = await loadEngineAt(place, undefined, options)
    const dispose = async () => {
      mock.disposed++
      await engine.dispose()
    }
    return { ...engine, decoder: withTurns(engine.decoder), dispose }
  }
  return Object.assign(mock, { loadEngine })
}

/** The same decoder, which lets timers and signals come between two passes as a real one does. */
function withTurns(decoder: Decoder): Decoder {
  const forward = decoder.forward.bind(decoder)
  decoder.forward = async (batch) => {
    await new Promise((turn) => setImmediate(turn))
    return forward(batch)
  }
  return decoder
}

async function bench(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const mock = surroundingsWithEngine()
  const code = await runCli(['bench', ...args], mock)
  return { code, out: mock.out(), err: mock.err() }
}

async function speedReport(...args: string[]): Promise<SpeedReport> {
  const { code, out, err } = await bench(...args, '--json')
  expect(code, err).toBe(0)
  return JSON.parse(out) as SpeedReport
}

describe('speed tests', () => {
  test('--json has every combination of the lists, and what ran', async () => {
    const lists = '--prefill 5,9 --decode 3 --decode 4 --depth 0,6 --batch 1,2 --runs 2'
    const report = await speedReport(...lists.split(' '))
    expect(report.tests.map(({ name }) => name)).toEqual([
      ...['pp5', 'pp9', 'tg3', 'tg4', 'tg3 b2', 'tg4 b2'],
      ...['pp5 @ d6', 'pp9 @ d6', 'tg3 @ d6', 'tg4 @ d6', 'tg3 b2 @ d6', 'tg4 b2 @ d6'],
    ])
    for (const { samples, tokensPerSecond } of report.tests) {
      expect(samples).toHaveLength(2)
      expect(tokensPerSecond.mean).toBeGreaterThan(0)
    }
    expect(report).toMatchObject({
      backend: { name: 'reference', threads: 1 },
      weights: 'dense',
      kv: 'f16',
      runs: 2,
    })
    expect(report.peakMemoryBytes).toBeGreaterThan(1e6)
    expect(report.energy.estimates.map(({ technology }) => technology)).toEqual(['45nm', '7nm'])
    // The reference has no limits to measure.
    expect(report).not.toHaveProperty('limits')
  })

  test('bytes per token grow with depth and shrink with the batch', async () => {
    const report = await speedReport('--decode', '2', '--depth', '0,30', '--batch', '1,2')
    const [alone, both, deep] = report.tests.map(({ bytesPerToken = 0 }) => bytesPerToken)
    expect(both).toBeLessThan(alone)
    expect(deep - alone).toBe(30 * report.costs.cacheBytesPerToken)
  })

  test('depth alone takes the usual tests, a batch alone decodes', async () => {
    const { err } = await bench('--depth', '1')
    expect(err).toContain('got 513 in pp512 @ d1')
    expect((await bench('--batch', '2')).err).toContain('got 128 in tg128 b2')
  })

  test('the table leaves out columns without values, and is Markdown where asked', async () => {
    const plain = await bench('--prefill', '4', '--runs', '1')
    expect(plain.out).toMatch(/^test +tokens\/s$/m)
    expect(plain.out).toMatch(/^pp4 +[\d.]+$/m)
    expect(plain.out).toMatch(/^energy +(not measured|measured)/m)
    expect(plain.out).toMatch(/^estimate +arithmetic .* at 45 nm .* at 7 nm/m)
    const markdown = await bench('--decode', '4', '--runs', '1', '--markdown')
    expect(markdown.out).toContain('| test | tokens/s | bytes/token | reads |')
    expect(markdown.out).toMatch(/^\| tg4 \| [\d.]+ \|/m)
  })

  test('a test that does not fit is wrong usage, and the engine is freed', async () => {
    const mock = surroundingsWithEngine()
    expect(await runCli(['bench', '--decode', '65'], mock)).toBe(2)
    expect(mock.err()).toContain('Expected tests of at most 64 positions')
    expect(mock.disposed).toBe(1)
  })

  test('Ctrl-C ends it with 130 and frees the engine', async () => {
    const mock = surroundingsWithEngine()
    const running = runCli(['bench', '--decode', '50', '--runs', '10000'], mock)
    await new Promise((wake) => setTimeout(wake, 100))
    mock.interrupt()
    expect(await running).toBe(130)
    expect(mock.out()).toBe('')
    expect(mock.disposed).toBe(1)
  })

  test.each([
    [['--prefill', '0'], 'Expected a whole number >= 1'],
    [['--depth', '1,x'], 'Expected a whole number >= 0'],
    [['--prefill', '4', '-p', 'text'], 'cannot be used with'],
    [['--prefill', '4', '--kernels'], 'cannot be used with'],
    [['--json', '--markdown'], 'cannot be used with'],
    [['--kernels', '--shape', '7t'], 'Expected a shape to be one of 2b-4t'],
    [['--kernels', '--only', 'nothing'], 'part of an operation'],
    [['--compare', 'one.json'], 'Expected two files after --compare, got 1'],
  ])('%j is wrong usage', async (args, message) => {
    const { code, out, err } = await bench(...args)
    expect(err).toContain(message)
    expect(code).toBe(2)
    expect(out).toBe('')
  })
})

describe('comparing', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bitnet-bench-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  async function file(name: string, text: string): Promise<string> {
    const path = join(folder, name)
    await writeFile(path, text)
    return path
  }

  function result(speeds: Record<string, number>): string {
    const tests = Object.entries(speeds).map(([name, mean]) => ({
      name,
      tokensPerSecond: { mean, standardDeviation: 1, min: mean, max: mean },
    }))
    return JSON.stringify({ tests })
  }

  test('shows how many times as fast each common test is, and what only one has', async () => {
    const a = await file('a.json', result({ pp512: 200, tg128: 50, tg64: 50 }))
    const b = await file('b.json', result({ pp512: 300, tg128: 50.5 }))
    const { code, out } = await bench('--compare', a, b)
    expect(code).toBe(0)
    expect(out).toMatch(
      /^pp512 +tokens\/s +200\.0 ± 1\.0 +300\.0 ± 1\.0 +1\.500 ± 0\.009 +faster$/m,
    )
    expect(out).toMatch(/^tg128 .* 1\.010 ± 0\.028 +no clear difference$/m)
    expect(out).toContain(`Only in ${a}: tg64`)
    const json = JSON.parse((await bench('--compare', a, b, '--json')).out)
    expect(json).toMatchObject({ onlyA: ['tg64'], compared: [{ speedup: 1.5, isClear: true }, {}] })
  })

  test('reads what bench itself writes', async () => {
    const { out } = await bench('--prefill', '3', '--runs', '2', '--json')
    const path = await file('own.json', out)
    const compared = await bench('--compare', path, path)
    expect(compared.out).toMatch(/^pp3 .* 1\.000 ± .*no clear difference$/m)
  })

  test.each([
    ['missing.json', undefined, 2, 'Cannot read'],
    ['text.json', 'no JSON', 1, 'got other text'],
    ['other.json', '{"tests":[{}]}', 1, '"tests[0].name" is not'],
    ['strange.json', '{"tests":[]}', 1, '"tests" is not'],
  ])('%s is refused', async (name, text, code, message) => {
    const good = await file('good.json', result({ pp512: 200 }))
    const bad = text === undefined ? join(folder, name) : await file(name, text)
    const outcome = await bench('--compare', good, bad)
    expect(outcome.err).toContain(message)
    expect(outcome.err).toContain(bad)
    expect(outcome.code).toBe(code)
  })

  test('results without a common test are refused', async () => {
    const a = await file('left.json', result({ pp512: 200 }))
    const b = await file('right.json', result({ tg128: 20 }))
    expect((await bench('--compare', a, b)).err).toContain('to have a test in common')
  })
})

test('a size is random weights, whose gates are off in the share that was asked for', async () => {
  const size = ['--size', '125m', '--ffn-sparsity', '0.8', '--decode', '1', '--runs', '1']
  const report = await speedReport(...size, '--sparse', 'on')
  expect(report).toMatchObject({ name: 'BitNet 125M, b1.58', size: '125m', leavesZerosOut: true })
  expect(report.ffnZeros?.gates).toBeCloseTo(0.8, 2)
  expect(report.tests.map(({ name }) => name)).toEqual(['tg1'])
})

test.each([
  [['--ffn-sparsity', '0.8'], 'Expected --size with --ffn-sparsity'],
  [['--ffn-sparsity', '0.8', '--kernels'], 'Expected --size with --ffn-sparsity'],
  [['--size', '125m', '--ffn-sparsity', '0.4'], '>= 0.5'],
  [['--size', '9b'], 'one of 2b-4t'],
  [['--size', '125m', '-m', 'x'], 'cannot be used with'],
])('refuses %j', async (args, message) => {
  const { code, err } = await bench(...args)
  expect(err).toContain(message)
  expect(code).toBe(2)
})
