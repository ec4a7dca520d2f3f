/**
 * The example page as a reader starts it, one command: it loads the embedded model and chats, and a chosen file;
 * what goes wrong is said on the page.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BROWSER, requiredBackends } from '../support/backends.ts'
import { buildProgram, hasEmbeddedModel, ROOT } from '../support/built-program.ts'
import { findChromium, launchChromium } from './chromium.ts'
import { type ExampleServer, serveExample, untilStatus } from './example-server.ts'
import { axeFindings, widthBeyond } from './page-checks.ts'

const executablePath = findChromium()
const missing =
  executablePath === undefined
    ? 'there is no Chromium here'
    : hasEmbeddedModel()
      ? undefined
      : 'the embedded model is missing'
if (missing !== undefined && requiredBackends().has(BROWSER)) {
  throw new Error(`REQUIRE_BACKENDS names ${BROWSER}, but ${missing}.`)
}

describe.skipIf(missing !== undefined)(`the example page${missing ? ` (${missing})` : ''}`, () => {
  let server: ExampleServer
  let browser: Browser
  let page: Page
  const problems: string[] = []

  beforeAll(async () => {
    await buildProgram()
    server = await serveExample()
    browser = await launchChromium(executablePath ?? '')
    page = await browser.newPage()
    page.on('pageerror', (error) => problems.push(error.message))
    await page.goto(server.url)
  })

  afterAll(async () => {
    await browser?.close()
    server?.close()
  })

  const status = (pattern: RegExp) => untilStatus(page, pattern)
  const read = (selector: string) => page.locator(selector).last().textContent()

  test('loads the embedded model on WebAssembly with threads, and chats', async () => {
    await page.selectOption('#backend', 'wasm')
    await page.click('#embedded')
    await status(/loaded in/)
    expect(await read('#status')).toMatch(/wasm .*2 threads|wasm .*1 thread/)
    await page.fill('#text', 'こんにちは。')
    await page.click('#send')
    await status(/tokens\/s/)
    expect(await read('#talk .model')).not.toBe('')
    expect(await read('#talk .user')).toBe('こんにちは。')
  })

  test('stops an answer, and goes on with the next', async () => {
    // At the first text: an answer may be whole before a click from outside arrives.
    await page.evaluate(`new MutationObserver((_, observer) => {
      if (!document.querySelector('#talk .model:last-child')?.textContent) return
      document.getElementById('stop').click()
      observer.disconnect()
    }).observe(document.getElementById('talk'), { childList: true, subtree: true, characterData: true })`)
    await page.fill('#text', 'Tell me a long story about the sea.')
    await page.click('#send')
    await status(/stopped/)
    await page.waitForFunction("!document.getElementById('send').disabled")
    await page.fill('#text', 'Hello.')
    await page.click('#send')
    await page.waitForFunction("!document.getElementById('send').disabled")
    expect(await page.locator('#talk .user').count()).toBe(3)
    await page.click('#again')
    expect(await page.locator('#talk p').count()).toBe(0)
  })

  test('loads a chosen file, and says what is none', async () => {
    const name = 'not-a-model.gguf'
    await page.setInputFiles('#file', { name, mimeType: '', buffer: Buffer.from('text') })
    await status(/Expected/)
    expect(await page.isDisabled('#send')).toBe(true)
    await page.setInputFiles('#file', join(ROOT, 'models/bitnet-ja-en-58m.gguf'))
    await status(/loaded in/)
    expect(await page.isDisabled('#send')).toBe(false)
  })

  test('keeps a model by its address, lists it and deletes it', async () => {
    await page.click('#kept summary')
    await page.fill('#name', '/models/bitnet-ja-en-58m.gguf')
    await page.click('#keep')
    await status(/loaded in/)
    await page.waitForSelector('#models li')
    expect(await read('#models li')).toMatch(/models\/bitnet-ja-en-58m\.gguf \(23 MB\) Delete$/)
    await page.click('#models button')
    await page.waitForFunction("document.querySelector('#models li') === null")
  })

  test('trains a model on a text, stops where it is asked to, writes with it and hands it out', async () => {
    await page.click('#training summary')
    const lines = Array.from(
      { length: 300 },
      (_, i) => `The cat is in house ${i % 7}. 猫は家にいる。`,
    )
    await page.fill('#learnt', 'too short')
    await page.click('#train')
    await status(/Expected at least 257 tokens/)
    await page.fill('#learnt', lines.join('\n'))
    await page.fill('#steps', '100000')
    await page.click('#train')
    await status(/Step [3-9] of 100000: loss \d/)
    await page.click('#end')
    await status(/^bitnet-ts tiny: wasm .*loaded in/)
    expect(await page.locator('#curve').getAttribute('aria-label')).toMatch(/^Loss: from 5\.\d+ to/)
    await page.fill('#text', 'The cat')
    await page.click('#send')
    await status(/tokens\/s/)
    const download = page.waitForEvent('download')
    await page.click('#download')
    const path = await (await download).path()
    expect(readFileSync(path).subarray(0, 4).toString()).toBe('GGUF')
  })

  test.each(['light', 'dark'] as const)(
    'has nothing that axe finds, nor beside a phone, %s',
    async (colorScheme) => {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width: 375, height: 667 })
      expect(await axeFindings(page)).toEqual([])
      expect(await widthBeyond(page)).toBe(0)
    },
  )

  test('speaks the language of the browser, and the other one at a click', async () => {
    const context = await browser.newContext({ locale: 'ja-JP' })
    const own = await context.newPage()
    await own.goto(server.url)
    const seen = async () => [
      await own.getAttribute('html', 'lang'),
      await own.textContent('#status'),
      await own.textContent('#embedded'),
      await own.getAttribute('#text', 'aria-label'),
      await own.textContent('#language'),
    ]
    expect(await seen()).toEqual([
      ...['ja', 'モデルは読み込まれていません。', '内蔵モデルを読み込む', 'メッセージ', 'English'],
    ])
    await own.setViewportSize({ width: 375, height: 667 })
    expect(await axeFindings(own)).toEqual([])
    expect(await widthBeyond(own)).toBe(0)
    await own.click('#language')
    expect(await seen()).toEqual([
      ...['en', 'No model is loaded.', 'Load the embedded model', 'Message', '日本語'],
    ])
    await context.close()
  })

  test('has every text in both languages', async () => {
    const [own, other] = (await page.evaluate(
      "import('/words.js').then(({ WORDS: { en, ja } }) => [en, ja].map((all) => Object.keys(all)))",
    )) as string[][]
    expect(other).toEqual(own)
    const used = await page
      .locator('[data-say], [data-label]')
      .evaluateAll((all) =>
        all.map((one) => one.getAttribute('data-say') ?? one.getAttribute('data-label')),
      )
    expect(own).toEqual(expect.arrayContaining(used))
  })

  test('has no problem of its own', () => {
    expect(problems).toEqual([])
  })
})
