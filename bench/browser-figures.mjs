/**
 * What a visitor of a page waits for, and what the tab takes: a model loaded from a server on this machine, the first
 * text, and the memory of the tab's process, by Linux's own count. Prints a Markdown table, or everything with --json.
 *
 *   npm run build && node bench/browser-figures.mjs [model.gguf...] [--rounds 5] [--threads 2]
 *     [--backend wasm] [--tokens 64] [--json]
 *
 * Every round has a browser of its own, with nothing cached. Node 24 or newer, as bench/browser.mjs.
 */
import { basename, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { visitBare } from '../test/browser/bare-tab.ts'
import { findChromium } from '../test/browser/chromium.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    backend: { type: 'string', default: 'wasm' },
    tokens: { type: 'string', default: '64' },
    json: { type: 'boolean', default: false },
  },
})
const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const models =
  positionals.length === 0
    ? [here('../models/bitnet-ja-en-58m.gguf')]
    : positionals.map((path) => resolve(path))

async function measure(executable, path) {
  const url = `/${basename(path)}`
  const files = { '/page.js': here('browser-figures-run.mjs'), [url]: path }
  const { backend, threads, tokens } = values
  const query = new URLSearchParams({ url, backend, threads, tokens })
  const { said, ...taken } = await visitBare(executable, {
    isolated: true,
    files,
    path: `?${query}`,
  })
  const { error, memory, context, ...figures } = JSON.parse(said)
  if (error !== undefined) throw new Error(error)
  const weights = memory.ternaryBytes + memory.denseBytes
  const cache = memory.cacheBytesPerToken * context
  return { ...figures, ...taken, weights, cache, ratio: taken.grown / (weights + cache) }
}

function cell(rounds, name, scale, digits) {
  const sorted = rounds.map((round) => round[name] * scale).toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2
  return `${median.toFixed(digits)} (${sorted[0].toFixed(digits)}-${sorted.at(-1).toFixed(digits)})`
}

const executable = findChromium()
if (executable === undefined) throw new Error('Expected Chromium; name it in CHROMIUM.')
const results = []
for (const path of models) {
  const rounds = []
  for (let round = 0; round < Number(values.rounds); round++) {
    rounds.push(await measure(executable, path))
  }
  results.push({ model: basename(path), rounds })
}
const COLUMNS = [
  ['script there, s', 'readyMs', 1e-3, 2],
  ['loaded, s', 'loadedMs', 1e-3, 2],
  ['first text, s', 'firstMs', 1e-3, 2],
  ['weights, MB', 'weights', 1e-6, 1],
  ['cache, MB', 'cache', 1e-6, 1],
  ['tab, MB', 'grown', 1e-6, 1],
  ['peak, MB', 'peak', 1e-6, 1],
  ['tab / (weights + cache)', 'ratio', 1, 2],
]
if (values.json) console.log(JSON.stringify(results))
else {
  console.log(`| model, backend | ${COLUMNS.map(([title]) => title).join(' | ')} |`)
  console.log(`|---|${COLUMNS.map(() => '---:|').join('')}`)
  for (const { model, rounds } of results) {
    const cells = COLUMNS.map(([, name, scale, digits]) => cell(rounds, name, scale, digits))
    console.log(`| ${model}, ${rounds[0].backend} | ${cells.join(' | ')} |`)
  }
}
