/**
 * How fast Chromium is beside this Node: the same WebAssembly module, threads, model and speed tests, in
 * turn, round by round. Prints a Markdown table, or everything with --json.
 *
 *   npm run build && node bench/browser.mjs [model.gguf...] [--rounds 5] [--threads 2]
 *     [--isa wasm-relaxed-simd] [--prefill 128] [--decode 128] [--json]
 *
 * Without a model it takes the embedded one. Node 24 or newer, because older ones neither have relaxed
 * SIMD nor read the TypeScript of the test server; CHROMIUM names another Chromium.
 */
import { basename, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { planSpeedTests, speedTestName } from '../dist/bench/speed-tests.js'
import { findChromium, launchChromium } from '../test/browser/chromium.ts'
import { serve } from '../test/browser/static-server.ts'
import { close, measure, open } from './browser-run.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    isa: { type: 'string', default: 'wasm-relaxed-simd' },
    prefill: { type: 'string', default: '128' },
    decode: { type: 'string', default: '128' },
    json: { type: 'boolean', default: false },
  },
})
const EMBEDDED = fileURLToPath(new URL('../models/bitnet-ja-en-58m.gguf', import.meta.url))
const models = positionals.length === 0 ? [EMBEDDED] : positionals.map((path) => resolve(path))
const counts = (list) => list.split(',').filter(Boolean).map(Number)
const tests = planSpeedTests({
  prefill: counts(options.prefill),
  decode: counts(options.decode),
  depth: [0],
  batch: [1],
})

function summarize(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2
  return { median, min: sorted[0], max: sorted.at(-1), values }
}

/** Rounds of Node and the page in turn; the one that begins changes with every round. */
async function compare(page, url) {
  const request = { url, isa: options.isa, threads: Number(options.threads) }
  const sides = {
    node: { ...(await open(request)), run: () => measure(tests), rounds: [] },
    chromium: {
      ...(await page.evaluate((given) => globalThis.browserRun.open(given), request)),
      run: () => page.evaluate((given) => globalThis.browserRun.measure(given), tests),
      rounds: [],
    },
  }
  const order = Object.values(sides)
  // The first round is for the engines' compilers.
  for (let round = 0; round <= Number(options.rounds); round++) {
    for (const side of order) {
      const speeds = await side.run()
      if (round > 0) side.rounds.push(speeds)
    }
    order.reverse()
    console.error(`${basename(url)}: round ${round} of ${options.rounds}`)
  }
  const { node, chromium } = sides
  return {
    model: node.name,
    node: node.description,
    chromium: chromium.description,
    tests: tests.map((test) => {
      const name = speedTestName(test)
      const speeds = (side) => summarize(side.rounds.map((round) => round[name]))
      const ratios = chromium.rounds.map((round, i) => round[name] / node.rounds[i][name])
      return { name, node: speeds(node), chromium: speeds(chromium), ratio: summarize(ratios) }
    }),
  }
}

function table({ versions, results }) {
  const cell = ({ median, min, max }, digits) =>
    `${median.toFixed(digits)} (${min.toFixed(digits)}-${max.toFixed(digits)})`
  return [
    `Tokens a second: median (least-most) of ${options.rounds} rounds.`,
    '',
    `| model, backend | test | Node ${versions.node} | Chromium ${versions.chromium} | ratio |`,
    '|---|---|---:|---:|---:|',
    ...results.flatMap(({ model, chromium: description, tests }) =>
      tests.map(
        ({ name, node, chromium, ratio }) =>
          `| ${model}, ${description} | ${name} | ${cell(node, 1)} | ${cell(chromium, 1)} | ${cell(ratio, 2)} |`,
      ),
    ),
  ].join('\n')
}

const executable = findChromium()
if (executable === undefined) throw new Error('Expected Chromium; name it in CHROMIUM.')
const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const files = {
  '/page.js': here('browser-run.mjs'),
  ...Object.fromEntries(models.map((path, i) => [`/${i}/${basename(path)}`, path])),
}
const server = await serve({ isolated: true, files })
const browser = await launchChromium(executable)
try {
  const page = await browser.newPage()
  await page.goto(server.url)
  await page.waitForFunction('globalThis.browserRun')
  const results = []
  for (const path of Object.keys(files).slice(1)) {
    results.push(await compare(page, new URL(path, server.url).href))
  }
  const versions = { node: process.versions.node, chromium: browser.version() }
  console.log(options.json ? JSON.stringify({ versions, results }) : table({ versions, results }))
} finally {
  await close()
  await browser.close()
  await server.close()
}
