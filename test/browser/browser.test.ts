/**
 * The library in a browser: the same tokens as in Node, with threads on an isolated page and without
 * them elsewhere. Skipped where there is no Chromium, unless REQUIRE_BACKENDS names "browser"; Node
 * runs the same WebAssembly modules in the conformance suite.
 */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LoadOptions } from '../../src/generate/load/load-options.ts'
import type { GenerateResult } from '../../src/generate/options.ts'
import { loadModel } from '../../src/node/load-model.ts'
import { BROWSER, requiredBackends } from '../support/backends.ts'
import { buildProgram, hasEmbeddedModel } from '../support/built-program.ts'
import { findChromium, launchChromium } from './chromium.ts'
import { type StaticServer, serve } from './static-server.ts'

const PROMPT = 'Once upon a time, there was a little'
const MAX_TOKENS = 40

interface PageRun extends Pick<GenerateResult, 'tokenIds' | 'timings' | 'backend'> {
  /** Timers that ran while it generated. */
  readonly ticks: number
}

const executable = findChromium()
const missing = executable === undefined ? 'there is no Chromium here' : noModel()
if (missing !== undefined && requiredBackends().has(BROWSER)) {
  throw new Error(`REQUIRE_BACKENDS names ${BROWSER}, but ${missing}.`)
}

function noModel(): string | undefined {
  return hasEmbeddedModel() ? undefined : 'the embedded model is missing'
}

let browser: Browser
let expected: readonly number[]

describe.skipIf(missing !== undefined)(`in Chromium${missing ? ` (${missing})` : ''}`, () => {
  beforeAll(async () => {
    await buildProgram()
    const model = await loadModel()
    const options = { temperature: 0, repetitionPenalty: 1, maxTokens: MAX_TOKENS }
    expected = (await model.generate(PROMPT, options).result).tokenIds
    await model.dispose()
    browser = await launchChromium(executable ?? '')
  })
  afterAll(() => browser?.close())

  describe.each([true, false])('cross-origin isolated: %s', (isolated) => {
    let server: StaticServer
    let page: Page
    const problems: string[] = []

    beforeAll(async () => {
      server = await serve({ isolated })
      page = await browser.newPage()
      page.on('pageerror', (error) => problems.push(error.message))
      await page.goto(server.url)
      await page.waitForFunction('globalThis.ready')
    })
    afterAll(async () => {
      await page?.close()
      await server?.close()
    })

    const run = (from: string, options: LoadOptions) => {
      const request = { from, options, prompt: PROMPT, maxTokens: MAX_TOKENS }
      return page.evaluate(`generate(${JSON.stringify(request)})`) as Promise<PageRun>
    }

    test('generates the tokens that Node generates', async () => {
      const { tokenIds, timings, backend } = await run('server', { threads: 2 })
      expect(tokenIds).toEqual(expected)
      expect(backend.threads).toBe(isolated ? 2 : 1)
      if (!isolated) expect(backend.description).toContain('Cross-Origin-Opener-Policy')
      const speed = timings.decodeTokensPerSecond.toFixed(0)
      console.log(`${backend.description}: ${speed} tokens/s, loaded in ${timings.loadMs | 0} ms`)
    })

    test('loads from a Blob and from bytes, with every variant', async () => {
      const hasMemory64 = await page.evaluate(
        'WebAssembly.validate(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 5, 3, 1, 4, 0))',
      )
      for (const [from, isa] of [
        ['blob', 'wasm-simd'],
        ['bytes', 'wasm-relaxed-simd'],
        ...(hasMemory64 ? [['blob', 'wasm64-relaxed-simd']] : []),
      ]) {
        const { tokenIds, backend } = await run(from, { isa })
        expect(backend.isa).toBe(isa)
        expect(tokenIds).toEqual(expected)
      }
    })

    test('timers and abort signals are heard while it generates', async () => {
      const { ticks } = await run('server', {})
      expect(ticks).toBeGreaterThan(2)
      const request = JSON.stringify({ prompt: PROMPT, options: { threads: 2 } })
      expect(await page.evaluate(`abort(${request})`)).toBe('cancelled')
    })

    test.skipIf(!isolated)(
      'a worker that may not load leaves one thread and the reason',
      async () => {
        await page.route('**/worker.js', (route) => route.abort())
        const { tokenIds, backend } = await run('server', { threads: 2 })
        await page.unroute('**/worker.js')
        expect(tokenIds).toEqual(expected)
        expect(backend.description).toMatch(/1 thread \(A WebAssembly worker failed: its script/)
      },
    )

    test('errors keep their class, and the page has no problem of its own', async () => {
      expect(await page.evaluate(`loadFailure('/nothing.gguf')`)).toBe('ModelNotFoundError')
      expect(await page.evaluate(`loadFailure('/dist/browser.js')`)).toBe('FormatError')
      expect(problems).toEqual([])
    })
  })
})
