/**
 * The example page on WebGPU, on Chromium's GPU in software: it loads a file, chats, goes on after it was frozen, and
 * when the GPU is lost in the middle of an answer it says so and loads the model again.
 */
import type { Browser, CDPSession, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BROWSER, requiredBackends } from '../support/backends.ts'
import { buildProgram, hasEmbeddedModel } from '../support/built-program.ts'
import { tinyChat } from '../support/tiny-chat.ts'
import { findChromium, launchChromium } from './chromium.ts'
import { type ExampleServer, serveExample, untilStatus } from './example-server.ts'

const executable = findChromium()
const missing =
  executable === undefined ? 'no Chromium' : hasEmbeddedModel() ? undefined : 'no embedded model'
if (missing !== undefined && requiredBackends().has(BROWSER)) {
  throw new Error(`REQUIRE_BACKENDS names ${BROWSER}, but there is ${missing}.`)
}

const FLAGS = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']

describe.skipIf(missing !== undefined)(
  `the page on WebGPU${missing ? ` (${missing})` : ''}`,
  () => {
    let server: ExampleServer
    let browser: Browser
    let page: Page
    let tab: CDPSession
    const problems: string[] = []

    beforeAll(async () => {
      await buildProgram()
      server = await serveExample()
      browser = await launchChromium(executable ?? '', FLAGS)
      page = await browser.newPage()
      page.on('pageerror', (error) => problems.push(error.message))
      tab = await page.context().newCDPSession(page)
      // In software the shaders that are made for a model's sizes take long to compile.
      await page.goto(`${server.url}?isa=webgpu-base`)
      await page.selectOption('#backend', 'webgpu')
    }, 60_000)

    afterAll(async () => {
      await browser?.close()
      server?.close()
    })

    const answer = () => page.locator('#talk .model').last().textContent()
    const ask = async (text: string) => {
      await page.fill('#text', text)
      await page.click('#send')
      await longerThan(0)
    }
    const longerThan = (length: number) =>
      page.waitForFunction(
        `document.querySelector('#talk .model:last-child')?.textContent.length > ${length}`,
        undefined,
        { timeout: 60_000 },
      )
    const stop = async () => {
      await page.click('#stop')
      await untilStatus(page, /tokens\/s; stopped/)
    }

    test('loads a chosen file, and chats', { timeout: 120_000 }, async () => {
      const buffer = Buffer.from(await tinyChat())
      await page.setInputFiles('#file', { name: 'tiny.gguf', mimeType: '', buffer })
      await untilStatus(page, /loaded in/)
      expect(await page.textContent('#status')).toMatch(/: webgpu webgpu-base, google swiftshader;/)
      await ask('Hello.')
      await longerThan(5)
      await stop()
      expect(await page.isHidden('#reload')).toBe(true)
    })

    test('goes on after it was frozen in the middle of an answer', {
      timeout: 120_000,
    }, async () => {
      await ask('Hello again.')
      await tab.send('Page.setWebLifecycleState', { state: 'frozen' })
      await page.waitForTimeout(2000)
      await tab.send('Page.setWebLifecycleState', { state: 'active' })
      const { length } = (await answer()) ?? ''
      await longerThan(length)
      await stop()
    })

    test('says that its GPU is lost, and loads the model again', { timeout: 180_000 }, async () => {
      await ask('And once more.')
      const whole = await browser.newBrowserCDPSession()
      // Its own answer is lost with the process.
      void whole.send('Browser.crashGpuProcess').catch(() => undefined)
      await untilStatus(page, /GPU.* Load the model again\.$/)
      expect(await page.isDisabled('#send')).toBe(true)
      expect(await page.isVisible('#reload')).toBe(true)
      await page.click('#reload')
      await untilStatus(page, /: webgpu .*loaded in/)
      expect(await page.isHidden('#reload')).toBe(true)
      await ask('Hello.')
      await stop()
    })

    test('has no problem of its own', () => {
      expect(problems).toEqual([])
    })
  },
)
