/**
 * What bench/browser.mjs measures, the same in Node and in a page: loads a model onto the WebAssembly
 * backend and runs the speed tests of `bitnet bench`, one counted run at a time.
 */
import { runSpeedTests, speedTestName } from '../dist/bench/speed-tests.js'
import { loadEngine } from '../dist/browser/load-model.js'

let engine

/** Loads a model in place of the one before. Returns what runs. */
export async function open({ url, ...options }) {
  await engine?.dispose()
  engine = await loadEngine(url, options)
  return { name: engine.decoder.config.name, description: engine.backend.description }
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
