/**
 * The server's page in Chromium, wide and on a phone, light and dark: a chat by keyboard, and what axe says of it.
 * With SCREENSHOTS=FOLDER it leaves pictures there.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Listening, listen } from '../../src/node/server/listen.ts'
import { createBitnetServer } from '../../src/server/app.ts'
import { BROWSER, requiredBackends } from '../support/backends.ts'
import { ROOT } from '../support/built-program.ts'
import { answers, MockEngine } from '../support/mock-engine.ts'
import { mockModel } from '../support/mock-model.ts'
import { findChromium, launchChromium } from './chromium.ts'
import { axeFindings, widthBeyond } from './page-checks.ts'

const executablePath = findChromium()
if (executablePath === undefined && requiredBackends().has(BROWSER)) {
  throw new Error(`REQUIRE_BACKENDS names ${BROWSER}, but there is no Chromium here.`)
}

const ANSWER = 'BitNet is a language model whose weights are -1, 0 and 1. '.repeat(6).trim()
const ASSISTANT = 259
/** Until a test asks for less. */
let pauseMs = 0

const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 375, height: 667 } }
const VIEWS = Object.entries(SIZES).flatMap(([name, size]) =>
  (['light', 'dark'] as const).map((scheme) => [`${name}, ${scheme}`, size, scheme] as const),
)

describe.skipIf(executablePath === undefined)("the server's page", () => {
  let listening: Listening
  let browser: Browser

  beforeAll(async () => {
    const script = (tokens: readonly number[]) =>
      tokens.lastIndexOf(ASSISTANT) < 0 ? 97 : answers(ANSWER, ANSWER)(tokens)
    const engine = new MockEngine({ script, contextLength: 100_000 })
    engine.beforePass = () => sleep(pauseMs)
    const load = async () => mockModel(engine, { defaults: { temperature: 0 } })
    const app = createBitnetServer({
      models: [
        { id: 'embedded', load },
        { id: 'bitnet-2b', load },
      ],
      page: readFileSync(join(ROOT, 'src', 'server', 'page.html'), 'utf8'),
    })
    listening = await listen(app, { host: '127.0.0.1', port: 0 })
    browser = await launchChromium(executablePath ?? '')
  }, 60_000)

  afterAll(async () => {
    await browser?.close()
    await listening?.stop(0)
  })

  async function open(viewport: { width: number; height: number }, colorScheme: 'light' | 'dark') {
    pauseMs = 0
    const context = await browser.newContext({ viewport, colorScheme, locale: 'en-US' })
    const page = await context.newPage()
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text())
    })
    await page.goto(listening.url)
    await page.waitForFunction("document.getElementById('model').options.length === 2")
    return { page, problems, close: () => context.close() }
  }

  const idle = (page: Page) =>
    page.waitForFunction(
      "!document.getElementById('send').disabled && document.querySelector('.assistant')",
    )
  const text = (page: Page, selector: string) => page.locator(selector).last().textContent()

  test.each(VIEWS)(
    'has nothing that axe finds, %s',
    async (name, size, scheme) => {
      const { page, problems, close } = await open(size, scheme)
      const picture = async (state: string) => {
        const folder = process.env['SCREENSHOTS']
        const path = `${folder}/${name.replace(', ', '-')}-${state}.png`
        if (folder !== undefined) await page.screenshot({ path })
      }
      expect(await axeFindings(page)).toEqual([])
      await picture('empty')
      await page.fill('#text', 'What is BitNet?')
      await page.keyboard.press('Enter')
      await idle(page)
      await page.fill('#text', 'Again, please.')
      await page.keyboard.press('Enter')
      await idle(page)
      await page.click('summary')
      await page.waitForFunction("document.getElementById('figures').textContent !== ''")
      expect(await axeFindings(page)).toEqual([])
      await picture('talk')
      await page.click('#language')
      expect(await text(page, '#send')).toBe('送信')
      expect(await axeFindings(page)).toEqual([])
      await picture('japanese')
      // Nothing lies beside the screen.
      expect(await widthBeyond(page)).toBe(0)
      expect(problems).toEqual([])
      await close()
    },
    60_000,
  )

  test('is used by keyboard alone: streams, stops, answers again, begins anew', async () => {
    const { page, problems, close } = await open(SIZES.desktop, 'light')
    const focused = () =>
      page.evaluate('document.activeElement.id || document.activeElement.tagName')
    // Where one begins to write.
    expect(await focused()).toBe('text')
    pauseMs = 5
    await page.keyboard.type('Hello')
    await page.keyboard.press('Shift+Enter')
    await page.keyboard.type('there')
    await page.keyboard.press('Enter')
    await page.waitForFunction("document.querySelector('.assistant')?.textContent.length > 20")
    expect(await text(page, '.user')).toBe('You: Hello\nthere')
    // Sending is not for now: the next is to stop.
    await page.keyboard.press('Tab')
    expect(await focused()).toBe('stop')
    await page.keyboard.press('Enter')
    await idle(page)
    const cut = (await text(page, '.assistant')) ?? ''
    expect(cut.length).toBeLessThan(ANSWER.length)
    expect(await text(page, '#status')).toBe('stopped')
    expect(await focused()).toBe('text')
    pauseMs = 0
    const walked = []
    for (let i = 0; i < 4; i++) {
      await page.keyboard.press('Tab')
      walked.push(await focused())
    }
    expect(walked).toEqual(['send', 'again', 'clear', 'SUMMARY'])
    await page.keyboard.press('Shift+Tab')
    await page.keyboard.press('Shift+Tab')
    await page.keyboard.press('Space')
    await idle(page)
    expect(await text(page, '.assistant')).toBe(`Model: ${ANSWER}`)
    expect(await page.locator('.turn').count()).toBe(2)
    expect(await text(page, '#status')).toMatch(/\d+ tokens, [\d.]+ tokens\/s/)
    await page.click('#clear')
    expect(await page.locator('.turn').count()).toBe(0)
    expect(problems).toEqual([])
    await close()
  }, 60_000)

  test('figures go on while somebody looks at them', async () => {
    const { page, problems, close } = await open(SIZES.phone, 'light')
    await page.click('summary')
    const figures = () => text(page, '#figures')
    await expect.poll(figures).toMatch(/memory \d+ MiB; \d+ tokens answered/)
    const before = await figures()
    const messages = [{ role: 'user', content: 'hi' }]
    await fetch(`${listening.url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ messages }),
    })
    await expect.poll(figures, { timeout: 10_000 }).not.toBe(before)
    expect(await figures()).toMatch(/; [1-9]\d* tokens\/s;/)
    expect(problems).toEqual([])
    await close()
  }, 60_000)

  test('settings are what is asked with, and refusals are said', async () => {
    const { page, close } = await open(SIZES.phone, 'dark')
    await page.click('summary')
    await page.fill('#max_tokens', '6')
    await page.fill('#text', 'Hello')
    await page.keyboard.press('Enter')
    await idle(page)
    expect(await text(page, '.assistant')).toBe(`Model: ${ANSWER.slice(0, 6)}`)
    expect(await text(page, '#status')).toContain('cut at the length')
    await page.fill('#temperature', '9')
    await page.click('#again')
    await page.waitForFunction(
      "document.getElementById('status').textContent.startsWith('No answer')",
    )
    expect(await text(page, '#status')).toContain('temperature')
    await close()
  }, 60_000)
})
