/**
 * The page of a run in Chromium: a run that goes on while it is looked at, reloads, a run that is continued, and
 * what axe says of it, wide and on a phone, light and dark, in both languages. With SCREENSHOTS=FOLDER it leaves
 * pictures there.
 */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import type { Listening } from '../../src/node/server/listen.ts'
import { watchRun } from '../../src/node/train/watch/watch-run.ts'
import type { TrainEvent } from '../../src/train/loop.ts'
import type { StartEvent } from '../../src/train/settings.ts'
import { BROWSER, requiredBackends } from '../support/backends.ts'
import { findChromium, launchChromium } from './chromium.ts'
import { axeFindings, widthBeyond } from './page-checks.ts'

const executablePath = findChromium()
if (executablePath === undefined && requiredBackends().has(BROWSER)) {
  throw new Error(`REQUIRE_BACKENDS names ${BROWSER}, but there is no Chromium here.`)
}

const root = mkdtempSync(join(tmpdir(), 'bitnet-watch-'))
const run = join(root, 'my run')
const log = join(run, 'log.jsonl')

const STEPS = 300

function eventsOf(step: number): (TrainEvent | StartEvent)[] {
  const fall = 2 + 3.5 * Math.exp(-step / 60)
  const zero = (layer: number) => 0.3 + 0.1 * Math.sin(layer + step / 80)
  const own: (TrainEvent | StartEvent)[] = [
    {
      ...{ type: 'step', step, steps: STEPS, loss: fall + 0.1 * Math.sin(step * 7) },
      ...{ learningRate: 4e-3 * (1 - step / STEPS), gradientNorm: 0.4 + 20 / step },
      ...{ tokens: step * 2048, tokensPerSecond: 41_234, secondsLeft: (STEPS - step) / 20 },
    },
  ]
  if (step % 20 === 0) {
    const layers = [0, 1, 2].map((layer) => {
      const rest = 1 - zero(layer)
      return { minus: rest / 2, zero: zero(layer), plus: rest / 2 }
    })
    own.push({ type: 'codes', step, layers, flipped: step === 20 ? undefined : 0.4 / step })
  }
  if (step % 50 === 0) {
    own.push({ type: 'held-out', step, loss: fall + 0.05, bitsPerByte: fall / Math.LN2 / 4 })
    own.push({
      type: 'sample',
      step,
      prompt: 'むかしむかし',
      text: `、<b>おじいさん</b>が${step}人。`,
    })
  }
  return own
}

const START: StartEvent = {
  ...{ type: 'start', step: 0, steps: STEPS, backend: 'native x86-avx2, 2 threads' },
  ...{ parameters: 359_000, tokens: 2_000_000, bytes: 50_000_000 },
}
const lines = (events: readonly object[]) =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('')
const stepsFrom = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, i) => eventsOf(first + i)).flat()

const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 375, height: 667 } }
const VIEWS = Object.entries(SIZES).flatMap(([name, size]) =>
  (['light', 'dark'] as const).map((scheme) => [`${name}, ${scheme}`, size, scheme] as const),
)

describe.skipIf(executablePath === undefined)('the page of a run', () => {
  let listening: Listening
  let browser: Browser

  beforeAll(async () => {
    mkdirSync(run)
    listening = await watchRun(run, { port: 0 })
    browser = await launchChromium(executablePath ?? '')
  }, 60_000)

  afterAll(async () => {
    await browser?.close()
    await listening?.stop(0)
    rmSync(root, { recursive: true, force: true })
  })

  async function open(viewport: { width: number; height: number }, colorScheme: 'light' | 'dark') {
    const context = await browser.newContext({ viewport, colorScheme, locale: 'en-US' })
    const page = await context.newPage()
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text())
    })
    await page.goto(listening.url)
    return { page, problems, close: () => context.close() }
  }

  const figures = (page: Page) => page.locator('#figures').textContent()
  /** Without functions made of text, which the page's own policy forbids. */
  const shows = (page: Page, text: string) =>
    page.locator('#figures', { hasText: text }).waitFor({ timeout: 20_000 })
  const hasLegend = (page: Page) => page.locator('.u-legend').first().isVisible()

  test('shows a run as it goes on, also after a reload, and takes back what a continued one does again', async () => {
    const { page, problems, close } = await open(SIZES.desktop, 'light')
    await page.locator('#status', { hasText: 'Waiting' }).waitFor()
    writeFileSync(log, lines([START, ...stepsFrom(1, 100)]))
    await shows(page, '100 of 300')
    expect(await page.locator('h1').textContent()).toBe('my run')
    expect(await hasLegend(page)).toBe(true)
    // Half a line is none yet.
    const [next] = stepsFrom(101, 101).map((event) => JSON.stringify(event))
    appendFileSync(log, next.slice(0, 30))
    appendFileSync(log, `${next.slice(30)}\n`)
    await shows(page, '101 of 300')
    await page.reload()
    await shows(page, '101 of 300')
    expect(await page.locator('#samples li').count()).toBe(2)
    // What a model writes is text, whatever it is.
    expect(await page.locator('#samples li').first().textContent()).toContain(
      '<b>おじいさん</b>が100人',
    )
    appendFileSync(log, lines([{ ...START, step: 60 }, ...stepsFrom(61, 80)]))
    await shows(page, '80 of 300')
    expect(await page.locator('#samples li').count()).toBe(1)
    const label = await page.locator('.plot').first().getAttribute('aria-label')
    expect(label).toMatch(/^Loss \(nats a token\); each step: now [\d.]+; mean of 20: now/)
    appendFileSync(log, lines(stepsFrom(81, STEPS)))
    await shows(page, '300 of 300')
    expect(await page.locator('#status').textContent()).toBe('All steps are done.')
    expect(problems).toEqual([])
    await close()
  }, 60_000)

  test.each(VIEWS)(
    'has nothing that axe finds, %s',
    async (name, size, scheme) => {
      const { page, problems, close } = await open(size, scheme)
      await shows(page, '300 of 300')
      const picture = async (state: string) => {
        const folder = process.env['SCREENSHOTS']
        const path = `${folder}/watch-${name.replace(', ', '-')}-${state}.png`
        if (folder !== undefined) await page.screenshot({ path, fullPage: true })
      }
      expect(await page.locator('.plot canvas').count()).toBe(6)
      expect(await axeFindings(page)).toEqual([])
      await picture('english')
      await page.click('#language')
      expect(await page.locator('#status').textContent()).toBe('全ステップが終わりました。')
      expect(await figures(page)).toContain('300 / 300')
      await page.selectOption('select', 'plus')
      expect(await axeFindings(page)).toEqual([])
      await picture('japanese')
      expect(await widthBeyond(page)).toBe(0)
      expect(problems).toEqual([])
      await close()
    },
    60_000,
  )

  test('is for this machine: another name gets nothing', async () => {
    const { port } = new URL(listening.url)
    for (const path of ['/', '/events', '/uplot.js']) {
      const status = await new Promise((resolve, reject) => {
        const headers = { host: `rebound.example:${port}` }
        request({ host: '127.0.0.1', port, path, headers }, ({ statusCode }) => resolve(statusCode))
          .on('error', reject)
          .end()
      })
      expect(status, path).toBe(403)
    }
    const { headers } = await fetch(listening.url)
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    await expect(watchRun(log, { port: 0 })).rejects.toThrow(UsageError)
  })
})
