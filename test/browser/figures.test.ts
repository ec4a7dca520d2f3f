/**
 * What a tab takes with the embedded model on WebAssembly, by the browser's own count: at most 1.3 times the packed
 * weights and the cache, and next to nothing once the model is disposed. docs/performance.md has times.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BROWSER, requiredBackends } from '../support/backends.ts'
import { buildProgram, hasEmbeddedModel, ROOT } from '../support/built-program.ts'
import { findChromium, launchChromium } from './chromium.ts'
import { serve } from './static-server.ts'

const executable = findChromium()
const missing =
  executable === undefined ? 'no Chromium' : hasEmbeddedModel() ? undefined : 'no embedded model'
if (missing !== undefined && requiredBackends().has(BROWSER)) {
  throw new Error(`REQUIRE_BACKENDS names ${BROWSER}, but there is ${missing}.`)
}

interface Measured {
  readonly weights: number
  readonly cache: number
  /** Bytes of the tab before the model was loaded, with it, and after it was disposed. */
  readonly empty: number
  readonly bytes: number
  readonly disposed: number
}

test.skipIf(missing !== undefined)('a tab takes little more than weights and cache', async () => {
  await buildProgram()
  const files = { '/page.js': join(ROOT, 'test/browser/memory-page.js') }
  const server = await serve({ isolated: true, files })
  // Else it answers after some 20 s.
  const eager = '--enable-blink-features=ForceEagerMeasureMemory'
  const browser = await launchChromium(executable ?? '', [eager])
  try {
    const page = await browser.newPage()
    await page.goto(server.url)
    await page.waitForFunction('globalThis.ready')
    const model = '/models/bitnet-ja-en-58m.gguf'
    const tab = (await page.evaluate(`measure('${model}')`)) as Measured
    // All of the cache is reserved, so that a long chat takes no more.
    expect(tab.bytes).toBeGreaterThan(tab.weights + tab.cache)
    expect(tab.bytes).toBeLessThan(1.3 * (tab.weights + tab.cache))
    expect(tab.disposed - tab.empty).toBeLessThan(tab.weights / 2)
  } finally {
    await browser.close()
    await server.close()
  }
})
