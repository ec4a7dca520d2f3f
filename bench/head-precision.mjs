/**
 * What the precision of the head costs: perplexity on text with an f16, int8 and int4 head, and how
 * often the best tokens of int4 differ from those of int8 over sampled text. Prints Markdown tables.
 *
 *   npm run build && node bench/head-precision.mjs text.txt... [--model file] [--steps 10000]
 *     [--tokens 4096]
 *
 * Parts of a text are separated by <|endoftext|>; each begins with an empty context. Windows are 512
 * tokens long, and --tokens bounds what is read of each file.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { openBackend } from '../dist/backends/select.js'
import { loadTokenizer } from '../dist/generate/load/load-text.js'
import { readConfig } from '../dist/model/config/read-config.js'
import { Decoder } from '../dist/model/decoder.js'
import { loadWeights } from '../dist/model/weights/load-weights.js'
import { openModelFile } from '../dist/node/open-model.js'
import { resolveModel } from '../dist/node/resolve-model.js'
import { finish } from '../dist/steps.js'

const WINDOW = 512
const SEQUENCES = 16
const BEST = 40
const TEMPERATURE = 0.8
const HEADS = ['f16', 'int8', 'int4']

const { values: options, positionals: texts } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string' },
    steps: { type: 'string', default: '10000' },
    tokens: { type: 'string', default: '4096' },
  },
})
const path = await resolveModel(options.model)

/** Opens the model with a head of this type for the time of `use`. */
async function withModel(head, use) {
  const opened = await openModelFile(path)
  const config = readConfig(opened.file)
  const backend = await openBackend({})
  const weights = await loadWeights(backend, opened.file, config, { head })
  const decoder = new Decoder(backend, config, weights)
  const tokenizer = finish(loadTokenizer(opened, config.vocabSize))
  try {
    return await use({ decoder, tokenizer, config, backend })
  } finally {
    decoder.dispose()
    weights.dispose()
    backend.dispose()
    await opened.file.close()
  }
}

/** Calls `visit(logits of position i, i)` for every position of a sequence. */
async function eachPosition({ decoder, config }, ids, visit) {
  const { slot } = decoder.cache.open([], ids.length)
  for (let from = 0; from < ids.length; from += decoder.maxRows) {
    const tokens = ids.slice(from, from + decoder.maxRows)
    const rows = tokens.map((_, i) => i)
    const logits = await decoder.forward({
      tokens,
      slots: rows.map(() => slot),
      positions: rows.map((i) => from + i),
      logitRows: rows,
    })
    for (const i of rows) {
      visit(logits.subarray(i * config.vocabSize, (i + 1) * config.vocabSize), from + i)
    }
  }
  decoder.cache.close(slot, [])
}

function logSumExp(logits) {
  let max = -Infinity
  for (const v of logits) if (v > max) max = v
  let sum = 0
  for (const v of logits) sum += Math.exp(v - max)
  return max + Math.log(sum)
}

/** Windows of a text's tokens, each with the sequence's first token before it. */
function windowsOf(tokenizer, file, limit) {
  const windows = []
  let count = 0
  for (const part of readFileSync(file, 'utf8').split('<|endoftext|>')) {
    const ids = [...tokenizer.encode(part.trim())]
    for (let at = 0; at + 1 < ids.length && count < limit; at += WINDOW) {
      windows.push(ids.slice(at, at + WINDOW))
      count += windows.at(-1).length
    }
  }
  return windows
}

async function perplexity(model, file) {
  let loss = 0
  let count = 0
  for (const ids of windowsOf(model.tokenizer, file, Number(options.tokens))) {
    await eachPosition(model, ids, (logits, i) => {
      if (i + 1 === ids.length) return
      loss += logSumExp(logits) - logits[ids[i + 1]]
      count++
    })
  }
  return { perplexity: Math.exp(loss / count), count }
}

/** The ids of the `count` largest logits, largest first. */
function best(logits, count) {
  const ids = []
  for (let id = 0; id < logits.length; id++) {
    if (ids.length === count && logits[id] <= logits[ids[count - 1]]) continue
    let at = ids.length
    while (at > 0 && logits[ids[at - 1]] < logits[id]) at--
    ids.splice(at, 0, id)
    if (ids.length > count) ids.pop()
  }
  return ids
}

/** mulberry32, so that every run samples the same text. */
function randomNumbers(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

function sample(logits, random) {
  const norm = logSumExp(logits.map((v) => v / TEMPERATURE))
  let rest = random()
  for (let id = 0; id < logits.length; id++) {
    rest -= Math.exp(logits[id] / TEMPERATURE - norm)
    if (rest <= 0) return id
  }
  return 0
}

/** Sequences sampled side by side from the whole distribution, starting from the texts. */
async function sampleText({ decoder, tokenizer, config }, steps) {
  const random = randomNumbers(1)
  const length = Math.ceil(steps / SEQUENCES)
  const starts = texts.flatMap((file) => windowsOf(tokenizer, file, 8192).map((w) => w.slice(0, 8)))
  const sequences = Array.from({ length: SEQUENCES }, (_, i) => [
    ...starts[Math.floor((i * starts.length) / SEQUENCES)],
  ])
  const slots = sequences.map(() => decoder.cache.open([], length + 16).slot)
  const rows = sequences.map((_, row) => row)
  const longest = Math.max(...sequences.map((s) => s.length))
  for (let position = 0; position < longest + length; position++) {
    const logits = await decoder.forward({
      tokens: sequences.map((s) => s[Math.min(position, s.length - 1)]),
      slots,
      positions: slots.map(() => position),
      logitRows: rows,
    })
    for (const [i, sequence] of sequences.entries()) {
      if (position + 1 < sequence.length) continue
      const from = i * config.vocabSize
      sequence.push(sample(logits.subarray(from, from + config.vocabSize), random))
    }
  }
  for (const slot of slots) decoder.cache.close(slot, [])
  return sequences.map((s) => s.slice(0, length))
}

const results = new Map()
let sequences
/** The best tokens of int8, and how int4's differ. */
const bestOfInt8 = []
const misses = { steps: 0, first: 0, anyOfBest: 0, ofBest: 0, values: 0 }

for (const head of HEADS) {
  await withModel(head, async (model) => {
    console.error(`${head}: ${model.backend.description}`)
    for (const file of texts) results.set(`${head} ${file}`, await perplexity(model, file))
    if (head === 'int8') {
      sequences = await sampleText(model, Number(options.steps))
      for (const ids of sequences) {
        await eachPosition(model, ids, (logits) => {
          const ids = best(logits, BEST)
          bestOfInt8.push({ ids, values: ids.map((id) => logits[id]) })
        })
      }
    }
    if (head === 'int4') {
      let step = 0
      for (const ids of sequences) {
        await eachPosition(model, ids, (logits) => {
          const expected = bestOfInt8[step++]
          const got = best(logits, BEST)
          const missed = expected.ids.filter((id) => !got.includes(id)).length
          misses.steps++
          misses.first += got[0] === expected.ids[0] ? 0 : 1
          misses.anyOfBest += missed > 0 ? 1 : 0
          misses.ofBest += missed
          misses.values += expected.ids.filter((id, i) => logits[id] !== expected.values[i]).length
        })
      }
    }
  })
}

console.log(`| text | tokens | ${HEADS.join(' | ')} |\n|---|---:|---:|---:|---:|`)
for (const file of texts) {
  const of = (head) => results.get(`${head} ${file}`)
  const f16 = of('f16').perplexity
  const cells = HEADS.map((head) => {
    const { perplexity } = of(head)
    const change = head === 'f16' ? '' : ` (${(100 * (perplexity / f16 - 1)).toFixed(3)} %)`
    return `${perplexity.toFixed(4)}${change}`
  })
  console.log(`| ${basename(file)} | ${of('f16').count} | ${cells.join(' | ')} |`)
}
console.log(`
| int4 against int8, ${misses.steps} steps of sampled text | |
|---|---:|
| another best token | ${misses.first} |
| steps with another set of the best ${BEST} | ${misses.anyOfBest} |
| tokens of the best ${BEST} that are missing | ${misses.ofBest} |
| logits of the best ${BEST} that are not the same float32 | ${misses.values} |`)
