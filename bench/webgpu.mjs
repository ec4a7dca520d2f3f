/**
 * Speed on a GPU, with random weights: prompts, tokens that are drawn on it, one and 16 at a time, alone and beside
 * 15 others, tokens whose logits are read back, and the recorded step again and again without reading.
 *
 *   npm run build && node bench/webgpu.mjs [--shape 2b-4t] [--isa webgpu-tuned] [--head int8] [--runs 3]
 *
 * Clocks of GPUs fall when they have nothing to do, and an H200 at 345 MHz takes four times as long for a prompt, so that
 * each test runs for half a second before it counts.
 */
import { parseArgs } from 'node:util'
import { openBackend } from '../dist/backends/select.js'
import { PassRunner } from '../dist/bench/pass-runner.js'
import { shapeNamed } from '../dist/bench/shapes.js'
import { planColumn } from '../dist/compare/columns.js'
import { Decoder } from '../dist/model/decoder.js'
import { randomWeights } from '../dist/model/weights/random-weights.js'

const { values: options } = parseArgs({
  options: {
    shape: { type: 'string', default: '2b-4t' },
    isa: { type: 'string' },
    head: { type: 'string', default: 'int8' },
    kv: { type: 'string', default: 'f16' },
    runs: { type: 'string', default: '3' },
    rows: { type: 'string', default: '512' },
    depth: { type: 'string', default: '2048' },
  },
})
const runs = Number(options.runs)
const depth = Number(options.depth)
const backend = await openBackend({ backend: 'webgpu', isa: options.isa })
const { head, kv } = options
const shape = shapeNamed(options.shape)
const plan = planColumn('b1.58', shape, depth + 1024, { head, kv, packing: '2bit' })
const config = { ...plan.config, activation: 'relu2' }
const weights = await randomWeights(backend, config, plan)
const decoder = new Decoder(backend, config, weights, {
  maxRows: Number(options.rows),
  cacheType: kv,
  cacheMemory: 2 ** 33,
})
const runner = PassRunner.open(decoder, { sequences: 16, positions: depth + 1024 })
console.log(`${backend.description}; ${shape.title}, ${head} head, ${kv} cache`)

/** The program that was submitted last. */
let last
const submit = backend.submit.bind(backend)
backend.submit = (program) => {
  last = program
  submit(program)
}

const WARM_MS = 500

async function test(name, tokens, work) {
  const begin = performance.now()
  do await work()
  while (performance.now() - begin < WARM_MS)
  const rates = []
  for (let i = 0; i < runs; i++) {
    const start = performance.now()
    await work()
    rates.push((tokens / (performance.now() - start)) * 1000)
  }
  console.log(`${name.padEnd(28)} ${rates.map((rate) => rate.toFixed(0)).join('  ')} tokens/s`)
}

/** Draws `count` tokens of so many sequences, greedily, `together` of them before they are read. */
async function draw(rows, from, count, together) {
  const settings = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 }
  const all = { ...settings, frequencyPenalty: 0, presencePenalty: 0 }
  const each = Array.from({ length: rows }, () => ({ settings: all, seed: 1, answerStart: 0 }))
  const draws = { rows: each.map((_, row) => row), each, steps: together }
  let tokens = each.map(() => 1)
  for (let at = from; at < from + count; at += together) {
    const batch = { tokens, slots: draws.rows, positions: each.map(() => at) }
    const goesOn = at + 2 * together <= from + count
    const wants = { draws: { ...draws, goesOn }, scores: NO_SCORES, vectors: [] }
    const { ids } = (await decoder.step(batch, wants)).tokens
    tokens = [...ids.slice(-rows)]
  }
}
const NO_SCORES = { rows: [], targets: [], tokens: [] }

const STEPS = 128
for (const tokens of [128, 512, 2048]) {
  await test(`prefill ${tokens}`, tokens, () => runner.prefill(1, 0, tokens, true))
}
for (const at of [0, depth]) {
  if (at > 0) await runner.prefill(0, 0, at, false)
  for (const together of [1, 16]) {
    const name = together === 1 ? 'token by token' : `${together} at a time`
    await test(`decode @ ${at}, ${name}`, STEPS, () => draw(1, at, STEPS, together))
  }
  await test(`decode @ ${at}, logits read`, 64, () => runner.decode(1, at, at + 64))
  const step = last
  let busy = 0
  await test(`decode @ ${at}, on the GPU`, STEPS, async () => {
    const start = performance.now()
    for (let i = 0; i < STEPS; i++) submit(step)
    busy = performance.now() - start
    await backend.done()
  })
  const dispatches = step.work.steps.length
  console.log(
    `  ${(busy / STEPS).toFixed(3)} ms of this process and ${dispatches} dispatches a token`,
  )
}
await test('16 sequences, logits read', 16 * 32, () => runner.decode(16, 0, 32))
await test('16 sequences, 16 at a time', 16 * STEPS, () => draw(16, 0, STEPS, 16))
runner.dispose()
decoder.dispose()
weights.dispose()
await backend.dispose()
