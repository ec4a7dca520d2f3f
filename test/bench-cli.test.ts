/**
 * `bitnet bench` and `bitnet doctor` of the built program on the embedded model, with counts so small
 * that only the form of the results means something.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SpeedReport } from '../src/cli/commands/bench/bench-speed.ts'
import { bitnet, buildProgram, hasEmbeddedModel } from './support/built-program.ts'

let folder: string
beforeAll(async () => {
  await buildProgram()
  folder = await mkdtemp(join(tmpdir(), 'bitnet-bench-cli-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe.skipIf(!hasEmbeddedModel())('bench with tests, on the embedded model', () => {
  test('drives every backend, and two results compare', async () => {
    const results: string[] = []
    for (const backend of ['auto', 'wasm']) {
      const flags = '--prefill 16 --decode 3 --depth 0,20 --batch 1,3 --runs 2 --kv int8 --json'
      const { code, out, err } = await bitnet(['bench', '--backend', backend, ...flags.split(' ')])
      expect(code, err).toBe(0)
      const report = JSON.parse(out) as SpeedReport
      expect(report).toMatchObject({ kv: 'int8', weights: '2bit', runs: 2 })
      if (backend === 'wasm') expect(report.backend.name).toBe('wasm')
      expect(report.tests).toHaveLength(6)
      for (const { tokensPerSecond, shareOfPeak } of report.tests) {
        expect(tokensPerSecond.min).toBeGreaterThan(0)
        expect(shareOfPeak).toBeGreaterThan(0)
      }
      expect(report.costs.ternaryMacs).toBe(50_331_648)
      expect(report.limits?.readBytesPerSecond).toBeGreaterThan(1e8)
      const path = join(folder, `${backend}.json`)
      await writeFile(path, out)
      results.push(path)
    }
    const { code, out, err } = await bitnet(['bench', '--compare', ...results])
    expect(code, err).toBe(0)
    expect(out).toMatch(/^tg3 b3 @ d20 +tokens\/s /m)
  })

  test('shows a table with shares of both limits', async () => {
    const { code, out, err } = await bitnet([
      'bench',
      '--decode',
      '4',
      '--runs',
      '2',
      '--threads',
      '1',
    ])
    expect(code, err).toBe(0)
    expect(out).toMatch(
      /^test +tokens\/s +bytes\/token +reads +memory +of memory +multiply-adds +of peak/m,
    )
    expect(out).toMatch(
      /^tg4 +[\d.]+ ± [\d.]+ +[\d.]+ MB +[\d.]+ [MG]B\/s +[\d.]+ [MG]B\/s +[\d.]+ %/m,
    )
    expect(out).toMatch(/^backend .*1 thread$/m)
  })
})

test('bench --kernels times the operations of a shape that are asked for', async () => {
  const flags = ['--kernels', '--shape', '700m', '--only', 'output']
  const { code, out, err } = await bitnet(['bench', ...flags, '--backend', 'native', '--json'])
  expect(code, err).toBe(0)
  const { kernels, model } = JSON.parse(out)
  expect(model).toBe('1bitLLM b1.58 large')
  for (const { name, microseconds } of kernels) {
    expect(name).toContain('output 1536 x 1536')
    expect(microseconds.min).toBeGreaterThan(0)
  }
  const table = await bitnet(['bench', ...flags, '--isa', 'wasm-simd', '--threads', '1'])
  expect(table.out).toMatch(/^output 1536 x 1536, 64 tokens +[\d.]+ us .* GMAC\/s +[\d.]+ %$/m)
  expect(table.out).toMatch(/^backend +wasm wasm-simd, 1 thread$/m)
})
