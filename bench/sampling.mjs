/**
 * What drawing tokens costs beside the step that gives their logits: 64 sequences of a model with the shape of BitNet
 * 2B-4T, whose vocabulary has 128,256 words. Its weights are random, the logits those of the embedded model.
 *
 *   node bench/sampling.mjs [--rows 64] [--threads 2] [--rounds 9] [--backend native]
 *
 * Steps and draws in turn; medians, and the share of a step.
 */
import { parseArgs } from 'node:util'
import { openBackend } from '../dist/backends/select.js'
import { shapeNamed } from '../dist/bench/shapes.js'
import { loadTokenizer } from '../dist/generate/load/load-text.js'
import { stepColumns } from '../dist/kernels/step.js'
import { BufferOwner, bytesOf } from '../dist/model/buffer-owner.js'
import { configToRun } from '../dist/model/config/read-config.js'
import { Decoder } from '../dist/model/decoder.js'
import { TokenSampler } from '../dist/model/token-sampler.js'
import { loadWeights } from '../dist/model/weights/load-weights.js'
import { randomWeights } from '../dist/model/weights/random-weights.js'
import { openModelFile } from '../dist/node/open-model.js'
import { resolveModel } from '../dist/node/resolve-model.js'
import { finish } from '../dist/steps.js'

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '64' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '9' },
    backend: { type: 'string', default: 'native' },
  },
})
const [rows, threads, rounds] = [values.rows, values.threads, values.rounds].map(Number)
const config = {
  ...shapeNamed('2b-4t'),
  ...{ architecture: 'bitnet-b1.58', name: '2b-4t', contextLength: 4096, ropeTheta: 500000 },
  ...{ normEps: 1e-5, activation: 'relu2', subNorms: true, linear: 'ternary', tiedHead: false },
}
const all = { temperature: 0.8, topK: 0, topP: 1, minP: 0 }
const none = { repetitionPenalty: 1, frequencyPenalty: 0, presencePenalty: 0 }
const TEXT = 'Once upon a time there was a little cat who lived in a small house by the sea. '
const DRAWS = {
  greedy: [{ ...all, temperature: 0 }],
  'all tokens': [all],
  'top-k 40': [{ ...all, topK: 40 }],
  'top-p 0.9': [{ ...all, topP: 0.9 }],
  'top-k 40, top-p 0.9, min-p 0.05': [{ ...all, topK: 40, topP: 0.9, minP: 0.05 }],
  'penalties, top-p 0.9': [{ ...all, topP: 0.9, repetitionPenalty: 1.1 }],
  'top-p 0.9, 5 likeliest': [{ ...all, topP: 0.9 }, 5],
  'top-k 40, top-p 0.9, min-p 0.05, 5 likeliest': [{ ...all, topK: 40, topP: 0.9, minP: 0.05 }, 5],
}

const backend = await openBackend({ backend: values.backend, threads })
const form = { projections: 'ternary', table: 'int8', packing: 'base3' }
const weights = await randomWeights(backend, config, form)
const decoder = new Decoder(backend, config, weights, { cacheMemory: 2 ** 31 })
const owner = new BufferOwner(backend)

/**
 * Logits of the embedded model behind each token of a text, for a larger vocabulary: its 100 largest as they are, and
 * more of the others.
 */
async function logitsOf() {
  const opened = await openModelFile(await resolveModel())
  const { file } = opened
  const small = await configToRun(file)
  const loaded = await loadWeights(backend, file, small, {})
  const reader = new Decoder(backend, small, loaded, { maxRows: rows })
  const tokenizer = finish(loadTokenizer(opened, small.vocabSize))
  const tokens = tokenizer.encode(TEXT.repeat(4)).slice(0, rows)
  const slot = reader.cache.open([], 256).slot
  const each = tokens.map((_, i) => i)
  const pass = { tokens, slots: tokens.map(() => slot), positions: each, logitRows: each }
  const given = (await reader.forward(pass)).slice()
  let state = 7
  const below = (count) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * count)
  }
  const all = new Float32Array(rows * config.vocabSize)
  for (let row = 0; row < rows; row++) {
    const own = given.subarray(row * small.vocabSize, (row + 1) * small.vocabSize)
    const sorted = own.toSorted().reverse()
    const wide = all.subarray(row * config.vocabSize, (row + 1) * config.vocabSize)
    for (let i = 0; i < wide.length; i++) wide[i] = sorted[100 + below(sorted.length - 100)]
    for (let i = 0; i < 100; i++) wide[below(wide.length)] = sorted[i]
  }
  reader.dispose()
  loaded.dispose()
  await file.close()
  return all
}

const positions = 64
const limits = { tokens: config.vocabSize, slots: rows, positions }
const logits = owner.allocate(rows * config.vocabSize * 4, 'logits')
backend.write(logits, 0, bytesOf(await logitsOf()))
const step = owner.allocateIndices(rows, stepColumns(limits), 'step')
const index = owner.allocateIndices(rows, [{ name: 'row', limit: rows }], 'rows')
backend.write(index, 0, bytesOf(Int32Array.from({ length: rows }, (_, i) => i)))
const words = [{ name: 'token', limit: config.vocabSize }]
const history = owner.allocateIndices(rows * positions, words, 'tokens so far')
const inputs = { logits, step, index, history, capacity: positions }

const slots = Array.from({ length: rows }, () => decoder.cache.open([], 256).slot)
let position = 0
async function takeStep() {
  const rowsOf = slots.map((_, i) => i)
  const tokens = slots.map((_, i) => (977 * i + position) % config.vocabSize)
  await decoder.forward({
    ...{ tokens, slots, logitRows: rowsOf },
    positions: slots.map(() => position),
  })
  position++
}

const timed = []
for (const [name, [settings, likeliest]] of Object.entries(DRAWS)) {
  const each = slots.map((_, seed) => ({
    settings: { ...none, ...settings },
    seed,
    answerStart: 0,
  }))
  const sampler = new TokenSampler(owner, config.vocabSize)
  const shape = sampler.shapeOf(each, likeliest)
  sampler.makeRoom(shape)
  sampler.write(each, shape)
  const program = await backend.record(sampler.commands(shape, inputs))
  const draw = async () => {
    backend.submit(program)
    await backend.done()
  }
  timed.push({ name, work: draw, ms: [] })
}
const steps = { name: `a step of ${rows} rows`, work: takeStep, ms: [] }
for (let round = -1; round < rounds; round++) {
  for (const { work, ms } of [steps, ...timed]) {
    const start = performance.now()
    await work()
    if (round >= 0) ms.push(performance.now() - start)
  }
}
const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1]
console.log(`${backend.description}; ${steps.name}: ${median(steps.ms).toFixed(0)} ms`)
for (const { name, ms } of timed) {
  const share = (100 * median(ms)) / median(steps.ms)
  console.log(`${name}: ${median(ms).toFixed(2)} ms, ${share.toFixed(2)} %`)
}
decoder.dispose()
weights.dispose()
await backend.dispose()
