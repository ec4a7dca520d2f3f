/**
 * Speed of training on random tokens: whole steps, and, with --ops, the time of each operation's commands alone
 * (on a GPU by its own clock).
 *
 *   npm run build && node bench/training.mjs --backend webgpu [--preset 58m] [--batch 16] [--length 2048] [--ops]
 *     [--precision f16] [--recompute layer] [--optimizer muon] [--moe experts=8,top=2]
 */
import { parseArgs } from 'node:util'
import { openBackend } from '../dist/backends/select.js'
import { ADAMW } from '../dist/train/adamw.js'
import { fillRandomly } from '../dist/train/initial-weights.js'
import { mixtureNamed, presetConfig } from '../dist/train/presets.js'
import { Trainer } from '../dist/train/trainer.js'

/** Of a group of commands, for its time. */
const REPEATS = 3

const { values: options } = parseArgs({
  options: {
    backend: { type: 'string', default: 'auto' },
    isa: { type: 'string' },
    threads: { type: 'string' },
    preset: { type: 'string', default: '58m' },
    quant: { type: 'string', default: 'b158' },
    vocabulary: { type: 'string', default: '16384' },
    batch: { type: 'string', default: '16' },
    length: { type: 'string', default: '2048' },
    recompute: { type: 'string', default: 'none' },
    precision: { type: 'string', default: 'f32' },
    optimizer: { type: 'string', default: 'adamw' },
    moe: { type: 'string' },
    steps: { type: 'string', default: '5' },
    ops: { type: 'boolean', default: false },
  },
})
const [batch, length, steps] = [options.batch, options.length, options.steps].map(Number)
const { quant, recompute, precision, optimizer } = options
const mixture = options.moe === undefined ? undefined : mixtureNamed(options.moe)
const model = { ...presetConfig(options.preset, quant, Number(options.vocabulary), mixture) }
model.contextLength = Math.max(model.contextLength, length)
const threads = options.threads === undefined ? undefined : Number(options.threads)
const backend = await openBackend({ backend: options.backend, isa: options.isa, threads })

/** Lists of commands, in the order in which the trainer records them. */
const lists = []
const record = backend.record.bind(backend)
backend.record = (commands) => {
  lists.push(commands)
  return record(commands)
}

const trainer = await Trainer.open(backend, {
  model,
  quant,
  batch,
  length,
  recompute,
  precision,
  optimizer,
})
const { plan } = trainer
fillRandomly(trainer, 1)
const planned = Object.values(plan.bytes).reduce((sum, own) => sum + own, 0)
console.log(
  `${backend.description}; ${options.preset}, ${quant}, ${batch} x ${length} tokens a step, recompute ${recompute}, ${precision}`,
)
console.log(
  `${(plan.arenaFloats / 1e6).toFixed(1)} M parameters, ${(planned / 1e9).toFixed(2)} GB planned`,
)

const rows = batch * length
const random = () => Int32Array.from({ length: rows }, () => Math.random() * model.vocabSize)
const data = () => ({
  tokens: random(),
  targets: random(),
  weights: new Float32Array(rows).fill(1 / rows),
})
const settings = (step) => ({ ...ADAMW, step, rate: 1e-3, decay: 0.1 })
trainer.step([data()], settings(0))
console.log(
  `loss ${(await trainer.loss()).toFixed(4)} at first, ${Math.log(model.vocabSize).toFixed(4)} for any guess`,
)
const batches = Array.from({ length: steps }, data)
const start = performance.now()
for (const [i, own] of batches.entries()) trainer.step([own], settings(i + 1))
await trainer.done()
const seconds = (performance.now() - start) / 1000
const flops = 6 * plan.parts.reduce((sum, { count }) => sum + count, 0) * rows * steps
console.log(
  `${((rows * steps) / seconds).toFixed(0)} tokens/s, ${((seconds / steps) * 1000).toFixed(1)} ms a step; products ` +
    `${(flops / seconds / 1e12).toFixed(2)} TFLOP/s`,
)

if (options.ops) {
  // Behind what is tried before: clear, quantize, learn, blend, score, update.
  const [, quantize, learn, , , update] = lists.slice(-6)
  const groups = new Map()
  for (const command of [...quantize, ...learn, ...update]) {
    const { op, rows, cols, inner, transposeA, transposeB } = command
    const name =
      op === 'matmul'
        ? `matmul ${rows} x ${cols} over ${inner}${transposeA ? ' At' : ''}${transposeB ? ' Bt' : ''}`
        : op
    groups.set(name, [...(groups.get(name) ?? []), command])
  }
  const times = []
  for (const [name, commands] of groups) {
    const program = await record(commands)
    backend.submit(program)
    await backend.done()
    const again = async () => {
      for (let i = 0; i < REPEATS; i++) backend.submit(program)
      await backend.done()
    }
    const began = performance.now()
    const work = await (backend.watch?.(again) ?? again())
    // By the device's own clock, where it has one: handing over takes as long as a short operation.
    const seconds = work?.seconds ?? (performance.now() - began) / 1000
    const ms = (1000 * seconds) / REPEATS
    const flops = commands.reduce(
      (sum, { op, rows, cols, inner }) => sum + (op === 'matmul' ? 2 * rows * cols * inner : 0),
      0,
    )
    times.push([ms, `${name} (${commands.length})`, flops])
    program.dispose()
  }
  for (const [ms, name, flops] of times.sort((a, b) => b[0] - a[0])) {
    const speed = flops > 0 ? `  ${(flops / ms / 1e9).toFixed(2)} TFLOP/s` : ''
    console.log(`${ms.toFixed(2).padStart(9)} ms  ${name}${speed}`)
  }
}
trainer.dispose()
await backend.dispose()
