/**
 * What bench/browser.mjs measures, the same in Node and in a page: loads a model onto the WebAssembly
 * backend and runs the speed tests of `bitnet bench`, one counted run at a time.
 */
import { openPortableBackend } from '../dist/backends/open-portable.js'
import { runSpeedTests, speedTestName } from '../dist/bench/speed-tests.js'
import { parseGguf } from '../dist/formats/gguf/index.js'
import { openEngine } from '../dist/generate/assemble-model.js'
import { openRangeSource } from '../dist/hub/range-source.js'
import { configToRun } from '../dist/model/config/config-to-run.js'

let engine

/** Loads a model in place of the one before. Returns what runs. */
export async function open({ url, ...options }) {
  await engine?.dispose()
  const began = performance.now()
  const bytes = await openRangeSource(new URL(url))
  const file = await parseGguf(bytes)
  const config = await configToRun(file)
  engine = await openEngine(file, config, options, began, openPortableBackend)
  await bytes.close()
  return { name: config.name, description: engine.backend.description }
}

/** Tokens per second of one run of each test, by the test's name. */
export async function measure(tests) {
  const measured = await runSpeedTests(engine.decoder, tests, { runs: 1 })
  return Object.fromEntries(
    measured.map(({ test, seconds }) => [speedTestName(test), test.tokens / seconds[0]]),
  )
}

export async function close() {
  await engine?.dispose()
  engine = undefined
}

globalThis.browserRun = { open, measure }
