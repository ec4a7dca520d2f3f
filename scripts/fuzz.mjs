/**
 * Seeded damage over every reader of foreign bytes, each in a process of its own that is ended when one input
 * takes too long; prints the table of docs/reliability.md.
 *
 *   npm run fuzz -- --minutes 10 [--seed 1] [--only GGUF]
 *
 * Exit code 1 if anything crashed, hung, or failed by another error than the library's own.
 */
import { fork } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { bundled } from './bundle.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
/** An input may take this long, on a busy machine; dataset readers have ten seconds of their own. */
const HANG_MS = 60_000
const MAX_HEAP_MB = 1024
const NAMES = [
  ...['GGUF', 'split GGUF', 'safetensors', 'index of shards', 'config.json', 'tokenizer.json'],
  ...['tokenizer.model (SentencePiece)', 'tokenizer.model (tiktoken)', 'vocab.json and merges.txt'],
  ...['chat template', 'packed image', 'dataset, parquet', 'dataset, JSONL', 'dataset, text'],
  ...['journal of eval', 'saved chat', 'saved state', 'batch of prompts', 'answers of a hub'],
]

const options = {
  minutes: { type: 'string', default: '5' },
  seed: { type: 'string', default: '1' },
  only: { type: 'string' },
}
const { minutes, seed, only } = parseArgs({ options }).values
if (!(Number(minutes) > 0) || !Number.isSafeInteger(Number(seed))) {
  console.error('fuzz: Expected --minutes above 0 and a whole number as --seed.')
  process.exit(2)
}
const names = only === undefined ? NAMES : NAMES.filter((name) => name === only)
if (names.length === 0) {
  console.error(`fuzz: Expected --only to be one of ${NAMES.join('; ')}.`)
  process.exit(2)
}
const folder = join(root, 'native/build/fuzz')
mkdirSync(folder, { recursive: true })
const program = await bundled('test/fuzz/child.ts', join(folder, 'child.mjs'))

/** One process: what came of its inputs, and how it ended. */
function runChild(name, from, milliseconds) {
  const child = fork(program, [root, name, seed, String(from), String(milliseconds)], {
    execArgv: [`--max-old-space-size=${MAX_HEAP_MB}`],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let [input, err, result, isHung] = [undefined, '', undefined, false]
  let timer
  const watch = () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      isHung = true
      child.kill('SIGKILL')
    }, HANG_MS)
  }
  watch()
  child.stderr.on('data', (text) => {
    err = (err + text).slice(-2000)
  })
  child.on('message', (message) => {
    input = message.input ?? input
    result = message.result ?? result
    watch()
  })
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const isClean = code === 0 && !isHung
      resolve({ input, result, isHung, isClean, how: `${code ?? signal}: ${err}` })
    })
  })
}

const rows = []
const share = (Number(minutes) * 60_000) / names.length
for (const name of names) {
  const total = {
    inputs: 0,
    loaded: 0,
    refused: 0,
    untyped: 0,
    crashes: 0,
    hangs: 0,
    slowestMs: 0,
    memory: 0,
  }
  let left = share
  let from = 0
  do {
    const began = Date.now()
    const { input, result, isHung, isClean, how } = await runChild(name, from, left)
    left -= Date.now() - began
    if (result !== undefined) {
      for (const key of ['inputs', 'loaded', 'refused']) total[key] += result[key]
      for (const key of ['slowestMs', 'memory']) total[key] = Math.max(total[key], result[key])
      total.untyped += result.untyped.length
      for (const text of result.untyped) console.error(`${name}, seed ${seed}, ${text}`)
    }
    if (isClean) break
    total.inputs++
    total[isHung ? 'hangs' : 'crashes']++
    console.error(`${name}, seed ${seed}, input ${input} ${isHung ? 'hung' : `ended it: ${how}`}`)
    if (input === undefined) break
    from = input + 1
  } while (left > 0)
  rows.push({ name, ...total })
}

const count = (n) => n.toLocaleString('en')
console.log(
  '| reader | inputs | refused | loaded | crashes | hangs | other errors | slowest | most memory |',
)
console.log('|---|---:|---:|---:|---:|---:|---:|---:|---:|')
for (const r of rows) {
  const counts = [r.inputs, r.refused, r.loaded, r.crashes, r.hangs, r.untyped].map(count)
  const limits = [
    `${(r.slowestMs / 1000).toFixed(2)} s`,
    `${Math.round(Math.max(0, r.memory) / 2 ** 20)} MiB`,
  ]
  console.log(`| ${[r.name, ...counts, ...limits].join(' | ')} |`)
}
const bad = rows.reduce((sum, r) => sum + r.crashes + r.hangs + r.untyped, 0)
console.log(`\nseed ${seed}, ${minutes} minutes, ${bad} that should not be`)
process.exitCode = bad > 0 ? 1 : 0
