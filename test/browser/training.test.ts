/**
 * Training in Chromium: on WebAssembly, with and without threads, the losses that Node has; stopped and gone on with
 * from the browser's own files; and on WebGPU in software.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { train } from '../../src/node/train/train.ts'
import type { TrainEvent } from '../../src/train/loop.ts'
import { BROWSER, requiredBackends } from '../support/backends.ts'
import { buildProgram, ROOT } from '../support/built-program.ts'
import { findChromium, launchChromium } from './chromium.ts'
import { type StaticServer, serve } from './static-server.ts'

const executablePath = findChromium()
if (executablePath === undefined && requiredBackends().has(BROWSER)) {
  throw new Error(`REQUIRE_BACKENDS names ${BROWSER}, but there is no Chromium here.`)
}

const ANIMALS = ['cat', 'dog', 'owl', 'fox', 'hen']
const TEXT = Array.from(
  { length: 300 },
  (_, i) => `The ${ANIMALS[i % 5]} is at home. 猫は${i % 7}匹。\n`,
).join('')
const OPTIONS = {
  batch: 4,
  length: 32,
  seed: 7,
  steps: 8,
  saveEvery: 4,
  sampleEvery: 0,
  threads: 2,
}

interface PageRun {
  readonly events: readonly TrainEvent[]
  readonly facts: {
    readonly steps: number
    readonly heldOutLoss: number
    readonly stopped: boolean
  }
  readonly text?: string
  readonly megabytes?: number
}

const lossesOf = (events: readonly TrainEvent[]) =>
  events.flatMap((event) => (event.type === 'step' ? [event.loss] : []))
const codesOf = (events: readonly TrainEvent[]) => events.filter(({ type }) => type === 'codes')

const folder = mkdtempSync(join(tmpdir(), 'bitnet-browser-train-'))
/** What Node learns from the same text. */
const expected: TrainEvent[] = []

async function open(browser: Browser, server: StaticServer): Promise<Page> {
  const page = await browser.newPage()
  await page.goto(server.url)
  await page.waitForFunction('globalThis.ready')
  return page
}

const run = (page: Page, request: object) =>
  page.evaluate(`run(${JSON.stringify(request)})`) as Promise<PageRun>

describe.skipIf(executablePath === undefined)('training in Chromium', () => {
  const files = { '/page.js': join(ROOT, 'test/browser/training-page.js') }

  beforeAll(async () => {
    await buildProgram()
    const path = join(folder, 'text.txt')
    writeFileSync(path, TEXT)
    await train({
      ...{ ...OPTIONS, data: [path], out: join(folder, 'run'), lookEvery: 4 },
      onEvent: (event) => event.type !== 'start' && expected.push(event),
    })
  }, 120_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  describe.each([true, false])('on WebAssembly, cross-origin isolated: %s', (isolated) => {
    let server: StaticServer
    let browser: Browser
    let page: Page

    beforeAll(async () => {
      server = await serve({ isolated, files })
      browser = await launchChromium(executablePath ?? '')
      page = await open(browser, server)
    }, 60_000)
    afterAll(async () => {
      await browser?.close()
      await server?.close()
    })
    const options = { ...OPTIONS, data: TEXT, backend: 'wasm', lookEvery: 4 }

    test('has the losses and codes of Node, and a model that writes', async () => {
      const { events, text, megabytes } = await run(page, { options, prompt: 'The cat' })
      expect(lossesOf(events)).toEqual(lossesOf(expected))
      expect(codesOf(events)).toEqual(codesOf(expected))
      expect(text).not.toBe('')
      expect(megabytes).toBeGreaterThan(0.1)
    }, 60_000)

    test('ends when it is asked to, and goes on from its files to where an unbroken run comes', async () => {
      const broken = { ...options, steps: 8 }
      const first = await run(page, { options: broken, folder: 'run', stopAt: 3 })
      expect(first.facts.stopped).toBe(true)
      expect(first.facts.steps).toBeLessThan(8)
      const rest = await run(page, { options: { ...broken, resume: true }, folder: 'run' })
      const heldOut = expected.findLast((event) => event.type === 'held-out')
      expect(rest.facts.steps).toBe(8)
      expect(rest.facts.heldOutLoss).toBe(heldOut?.loss)
      await expect(run(page, { options, folder: 'run' })).rejects.toThrow('is there already')
      await expect(run(page, { options: { ...options, data: '' } })).rejects.toThrow(
        'Expected text',
      )
    }, 60_000)
  })

  test('on WebGPU in software, losses are near those of processors', async () => {
    const server = await serve({ isolated: true, files })
    const browser = await launchChromium(executablePath ?? '', [
      '--enable-unsafe-webgpu',
      '--use-webgpu-adapter=swiftshader',
    ])
    const page = await open(browser, server)
    const options = {
      ...OPTIONS,
      data: TEXT,
      backend: 'webgpu',
      steps: 8,
      lookEvery: 0,
      evalEvery: 100,
    }
    const { events } = await run(page, { options: { ...options }, stopAt: 1 })
    const [start] = events as unknown as { readonly backend: string }[]
    expect(start.backend).toMatch(/webgpu/i)
    expect(lossesOf(events)[0]).toBeCloseTo(lossesOf(expected)[0], 4)
    await browser.close()
    await server.close()
  }, 90_000)
})
