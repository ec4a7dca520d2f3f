/** Adapters beside frozen matrices: their gradients against the definition, and what they leave as it is. */
import { afterAll, describe, expect, test } from 'vitest'
import { missingForGpu, openSoftwareGpu } from '../../test/support/backends.ts'
import type { Backend } from '../backends/backend.ts'
import { openNativeBackend } from '../backends/native/native-backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { BASE_ISA } from '../backends/webgpu/webgpu-backend.ts'
import { UsageError } from '../errors.ts'
import type { BufferSlice } from '../kernels/slice.ts'
import { Seeded } from '../kernels/testing/conformance-cases.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { partsOf } from '../model/layers.ts'
import { ADAMW } from './adamw.ts'
import { linearBackward, linearForward } from './bit-linear.ts'
import { fillRandomly } from './initial-weights.ts'
import { lowRankNamed } from './low-rank-plan.ts'
import { allocateTraining } from './memory.ts'
import { planTraining } from './plan.ts'
import type { TrainingShape } from './shape.ts'
import { Trainer } from './trainer.ts'

const reference = createReferenceBackend()
const native = openNativeBackend({ threads: 2 })

afterAll(() => {
  for (const backend of [reference, native]) backend.dispose()
})

const model: ModelConfig = {
  ...{ architecture: 'bitnet', name: 'made up', dim: 32, nLayers: 2, nHeads: 4, nKvHeads: 2 },
  ...{ headDim: 16, ffnDim: 48, vocabSize: 40, contextLength: 20, ropeTheta: 100, normEps: 1e-5 },
  ...{ activation: 'relu2', subNorms: true, tiedHead: true, linear: 'ternary' },
}
const lora = { rank: 3, alpha: 6 }
const shape: TrainingShape = {
  ...{ model, quant: 'b158', batch: 2, length: 7, recompute: 'none', lora },
}
const ROWS = 14

function batchOf(seed: number) {
  const seeded = new Seeded(seed)
  const ids = () => Int32Array.from({ length: ROWS }, () => seeded.below(model.vocabSize))
  return { tokens: ids(), targets: ids(), weights: new Float32Array(ROWS).fill(1 / ROWS) }
}

/** A base whose codes and floats a seed says. */
function fillBase(trainer: Trainer): void {
  const seeded = new Seeded(5)
  for (const part of trainer.plan.frozen) {
    const values = seeded.floats(part.count, part.kind === 'table' ? 1 : 0.4)
    if (part.kind === 'norm') for (let i = 0; i < values.length; i++) values[i] += 1
    trainer.writeFrozen(part, values)
  }
  for (const part of partsOf(model).filter(({ kind }) => kind === 'linear')) {
    const codes = Int8Array.from({ length: part.rows * part.cols }, () => seeded.below(3) - 1)
    trainer.writeCodes(part, codes, new Float32Array(part.rows).fill(0.2))
  }
}

/** B random too: at first it is 0, and A has no gradient. */
function fillAdapters(trainer: Trainer): void {
  const seeded = new Seeded(6)
  for (const part of trainer.plan.parts) {
    trainer.write('weights', part, seeded.floats(part.count, 0.3))
  }
}

describe.each([
  ['qkv', 'attentionNorm', 32],
  ['output', undefined, 64],
  ['down', 'ffnSubNorm', 48],
] as const)('adapters of %s', (stack, normRole, size) => {
  test('have the products and gradients of their definition', async () => {
    const plan = planTraining(shape)
    const memory = allocateTraining(reference, plan)
    const { scratch, layers } = memory
    const layer = layers[0]
    const linear = layer.linears[stack]
    const seeded = new Seeded(8)
    const owned = (count: number) => memory.owner.allocate(count * 4, 'test')
    const write = (slice: BufferSlice, values: Float32Array) =>
      reference.write(slice, 0, new Uint8Array(values.buffer))
    const read = async (slice: BufferSlice) =>
      new Float32Array((await reference.read(slice)).buffer)
    const [x, dy] = [seeded.floats(ROWS * size), seeded.floats(ROWS * linear.rows)]
    const [xs, dys, out, dx] = [x.length, dy.length, dy.length, x.length].map(owned)
    write(xs, x)
    write(dys, dy)
    const norm = normRole && layer[normRole]
    if (norm) write(norm.weights, new Float32Array(size).fill(1))
    const factors = linear.adapters.map(({ a, b, rows }) => {
      const own = { a: seeded.floats(3 * size), b: seeded.floats(rows * 3), rows }
      write(a.weights, own.a)
      write(b.weights, own.b)
      return own
    })
    const input = { x: xs, norm, eps: 1e-5 }
    // All codes are 0: what comes out is the adapters' alone.
    const gradients = { rows: ROWS, dOut: dys, dx, accumulate: false }
    reference.submit(
      await reference.record([
        ...linearForward(linear, input, scratch, { rows: ROWS, out, accumulate: false }),
        ...linearBackward(linear, { ...input, norm: undefined }, scratch, gradients),
      ]),
    )
    const xn = x.slice()
    if (norm) {
      for (let row = 0; row < ROWS; row++) {
        const own = xn.subarray(row * size, (row + 1) * size)
        const root = Math.sqrt(own.reduce((sum, v) => sum + v * v, 0) / size + 1e-5)
        for (let i = 0; i < size; i++) own[i] /= root
      }
    }
    const y = await read(out)
    const wantedDx = new Float64Array(x.length)
    let first = 0
    for (const [place, { a, b, rows }] of factors.entries()) {
      const low = (values: Float32Array, row: number, k: number) => {
        let sum = 0
        for (let i = 0; i < size; i++) sum += values[row * size + i] * a[k * size + i]
        return 2 * sum
      }
      const at = (row: number, i: number) => row * linear.rows + first + i
      const wantedDb = new Float64Array(rows * 3)
      const wantedDa = new Float64Array(3 * size)
      for (let row = 0; row < ROWS; row++) {
        const [forward, backward] = [xn, x].map((own) => [0, 1, 2].map((k) => low(own, row, k)))
        for (let i = 0; i < rows; i++) {
          const sum = [0, 1, 2].reduce((total, k) => total + forward[k] * b[i * 3 + k], 0)
          expect(y[at(row, i)]).toBeCloseTo(sum, 3)
          for (let k = 0; k < 3; k++) wantedDb[i * 3 + k] += dy[at(row, i)] * backward[k]
        }
        for (let k = 0; k < 3; k++) {
          let du = 0
          for (let i = 0; i < rows; i++) du += 2 * dy[at(row, i)] * b[i * 3 + k]
          for (let i = 0; i < size; i++) {
            wantedDa[k * size + i] += du * x[row * size + i]
            wantedDx[row * size + i] += du * a[k * size + i]
          }
        }
      }
      const { a: ownA, b: ownB } = linear.adapters[place]
      const [da, db] = await Promise.all([ownA.gradient, ownB.gradient].map(read))
      for (const [i, wanted] of wantedDa.entries()) expect(da[i]).toBeCloseTo(wanted, 2)
      for (const [i, wanted] of wantedDb.entries()) expect(db[i]).toBeCloseTo(wanted, 2)
      first += rows
    }
    for (const [i, value] of (await read(dx)).entries()) expect(value).toBeCloseTo(wantedDx[i], 2)
    memory.owner.dispose()
  })
})

test('adapters change nothing at first, learn, and leave the base as it was', async () => {
  const trainer = await Trainer.open(native, shape)
  fillBase(trainer)
  fillRandomly(trainer, 1)
  const batch = batchOf(1)
  const before = await trainer.logits(batch)
  const step = (n: number) => trainer.step([batch], { ...ADAMW, step: n, rate: 1e-2, decay: 0 })
  const losses: number[] = []
  for (let n = 0; n < 20; n++) {
    step(n)
    losses.push(await trainer.loss())
  }
  expect(losses[19]).toBeLessThan(losses[0] - 0.5)
  expect(await trainer.logits(batch)).not.toEqual(before)
  // Without adapters all is as before.
  for (const part of trainer.plan.parts) {
    if (part.factor === 'B') trainer.write('weights', part, new Float32Array(part.count))
  }
  expect(await trainer.logits(batch)).toEqual(before)
  trainer.dispose()
})

async function learn(backend: Backend, own: TrainingShape) {
  const trainer = await Trainer.open(backend, own)
  fillBase(trainer)
  fillAdapters(trainer)
  trainer.gradients([batchOf(1), batchOf(2)])
  const { parts } = trainer.plan
  const all = await Promise.all(parts.map((part) => trainer.read('gradients', part)))
  const loss = await trainer.loss()
  trainer.dispose()
  return { loss, all }
}

async function expectAgreement(backend: Backend, own: TrainingShape, within: number) {
  const [first, second] = [await learn(reference, own), await learn(backend, own)]
  expect(second.loss).toBeCloseTo(first.loss, 4)
  for (const [i, values] of second.all.entries()) {
    const scale = Math.max(...first.all[i].map(Math.abs))
    expect(scale).toBeGreaterThan(0)
    const off = Math.max(...values.map((value, k) => Math.abs(value - first.all[i][k])))
    expect(off / scale).toBeLessThan(within)
  }
}

test.each(['none', 'layer'] as const)('processors agree on adapters, recompute %s', (recompute) =>
  expectAgreement(native, { ...shape, recompute }, 1e-3),
)

test.skipIf(missingForGpu() !== undefined)('a GPU agrees on adapters', async () => {
  const gpu = await openSoftwareGpu(BASE_ISA)
  await expectAgreement(gpu, shape, 2e-3)
  await gpu.dispose()
})

test('the plan has no gradients and moments of the base', () => {
  const { bytes, arenaFloats, frozenFloats } = planTraining(shape)
  const whole = planTraining({ ...shape, lora: undefined }).bytes
  expect(bytes.gradients).toBe(arenaFloats * 4)
  expect(bytes.moments).toBe(2 * bytes.gradients)
  expect(bytes.weights).toBe((arenaFloats + frozenFloats) * 4)
  expect(bytes.gradients).toBeLessThan(whole.gradients)
})

test('what adapters do not go with is refused by name', async () => {
  const open = (changes: Partial<TrainingShape>) =>
    Trainer.open(reference, { ...shape, ...changes })
  await expect(open({ optimizer: 'muon' })).rejects.toThrow('got muon')
  await expect(open({ quantizationWarmup: 3 })).rejects.toThrow('quantization-warmup')
  await expect(open({ quant: 'none', model: { ...model, linear: 'dense' } })).rejects.toThrow(
    'quant none',
  )
  expect(lowRankNamed('rank=8')).toEqual({ rank: 8, alpha: 16 })
  expect(lowRankNamed('rank=16, alpha=32')).toEqual({ rank: 16, alpha: 32 })
  for (const text of ['', '16', 'rank=0', 'rank=8,alpha=0', 'rank=8,beta=1', 'rank=2000']) {
    expect(() => lowRankNamed(text), text).toThrow(UsageError)
  }
})
