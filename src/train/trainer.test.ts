/** Gradients of whole models: against finite differences, and the straight-through estimator by its definition. */
import { afterAll, describe, expect, test } from 'vitest'
import { filled } from '../../test/support/filled-trainer.ts'
import type { Backend } from '../backends/backend.ts'
import { openNativeBackend } from '../backends/native/native-backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { UsageError } from '../errors.ts'
import { sample } from '../kernels/sample/reference.ts'
import type { BufferSlice } from '../kernels/slice.ts'
import { Seeded } from '../kernels/testing/conformance-cases.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { settingWords } from '../model/token-draw.ts'
import { absmaxQuantize, absmeanQuantize, signQuantize } from '../ternary/index.ts'
import { ADAMW } from './adamw.ts'
import { linearBackward, linearForward, quantizeLinear } from './bit-linear.ts'
import { SAMPLE_DRAW } from './continue-texts.ts'
import { checkHalves } from './halves-check.ts'
import { allocateTraining, latentsOf } from './memory.ts'
import { planTraining } from './plan.ts'
import type { TrainingShape } from './shape.ts'
import type { StepLoss } from './step-losses.ts'
import { Trainer } from './trainer.ts'

const reference = createReferenceBackend()
const native = [1, 2].map((threads) => openNativeBackend({ threads }))

afterAll(() => {
  for (const backend of [reference, ...native]) backend.dispose()
})

const model: ModelConfig = {
  architecture: 'bitnet',
  name: 'made up',
  dim: 32,
  nLayers: 2,
  nHeads: 2,
  nKvHeads: 1,
  headDim: 16,
  ffnDim: 48,
  vocabSize: 40,
  contextLength: 20,
  ropeTheta: 100,
  normEps: 1e-5,
  activation: 'relu2',
  subNorms: true,
  tiedHead: true,
  linear: 'ternary',
}

function shapeOf(quant: TrainingShape['quant'], changes: Partial<ModelConfig> = {}): TrainingShape {
  const linear = quant === 'none' ? 'dense' : 'ternary'
  const own = { ...model, linear, ...changes } as const
  return { model: own, quant, batch: 2, length: 7, recompute: 'none' }
}

function batchOf(seed: number) {
  const seeded = new Seeded(seed)
  const ids = () => Int32Array.from({ length: 14 }, () => seeded.below(model.vocabSize))
  const weights = seeded.positive(14, 0.1)
  weights[4] = 0
  return { tokens: ids(), targets: ids(), weights }
}

describe('gradients of a model without quantisers are its slopes', () => {
  test.each([
    ['sub-norms, relu2, tied', {}],
    [
      'silu, no sub-norms, a head of its own',
      { activation: 'silu', subNorms: false, tiedHead: false },
    ],
  ] as const)('%s', async (_, changes) => {
    const trainer = filled(await Trainer.open(reference, shapeOf('none', changes)))
    const batches = [batchOf(1), batchOf(2)]
    trainer.gradients(batches)
    const gradients = await Promise.all(trainer.plan.parts.map((p) => trainer.read('gradients', p)))
    for (const [i, part] of trainer.plan.parts.entries()) {
      const values = await trainer.read('weights', part)
      const largest = Math.max(...gradients[i].map(Math.abs))
      // Three of each: the largest, and two others.
      const places = [gradients[i].findIndex((g) => Math.abs(g) === largest), 1, part.count - 2]
      for (const at of places) {
        const losses: number[] = []
        for (const sign of [1, -1]) {
          const moved = values.slice()
          moved[at] += sign * 2 ** -8
          trainer.write('weights', part, moved)
          trainer.score(batches)
          losses.push(await trainer.loss())
        }
        const slope = (losses[0] - losses[1]) * 2 ** 7
        const what = `${part.role} ${part.layer}, element ${at}`
        expect(Math.abs(slope - gradients[i][at]), what).toBeLessThan(0.02 * largest + 2e-4)
      }
      trainer.write('weights', part, values)
    }
    trainer.dispose()
  })
})

test.each([
  ['b158', absmeanQuantize, 'absmean'],
  ['b1', signQuantize, 'sign'],
] as const)(
  'the estimator of %s takes its quantisers for the identity',
  async (quant, quantize, mode) => {
    const plan = planTraining(shapeOf(quant))
    const memory = allocateTraining(reference, plan)
    const { scratch, dStream, saved, layers } = memory
    const linear = layers[0].linears.output
    const [rows, size] = [14, 32]
    const seeded = new Seeded(8)
    const [x, w, dy] = [rows, size, rows].map((n) => seeded.floats(n * size))
    const write = (slice: Parameters<typeof reference.write>[0], values: Float32Array) =>
      reference.write(slice, 0, new Uint8Array(values.buffer))
    const read = async (slice: Parameters<typeof reference.read>[0]) =>
      new Float32Array((await reference.read(slice)).buffer)
    write(saved[0].attended, x)
    const latents = latentsOf(linear)
    write(latents.weights, w)
    write(dStream, dy)
    const input = { x: saved[0].attended, norm: undefined, eps: 1e-5 }
    const out = saved[0].middle
    const program = await reference.record([
      ...quantizeLinear(linear, mode),
      ...linearForward(linear, input, scratch, { rows, out, accumulate: false }),
      ...linearBackward(linear, input, scratch, {
        rows,
        dOut: dStream,
        dx: saved[0].input,
        accumulate: false,
      }),
    ])
    reference.submit(program)
    const { codes, scale } = quantize(w)
    const wq = Float32Array.from(codes, (code) => code * scale)
    const xq = Array.from({ length: rows }, (_, row) => {
      const own = absmaxQuantize(x.subarray(row * size, (row + 1) * size))
      return Float32Array.from(own.q, (q) => q * own.scale)
    })
    const [y, dx, dw] = await Promise.all([out, saved[0].input, latents.gradient].map(read))
    const sum = (count: number, term: (k: number) => number) =>
      Array.from({ length: count }, (_, k) => term(k)).reduce((total, value) => total + value, 0)
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < rows; j++) {
        expect(y[j * size + i]).toBeCloseTo(
          sum(size, (k) => xq[j][k] * wq[i * size + k]),
          4,
        )
        expect(dx[j * size + i]).toBeCloseTo(
          sum(size, (k) => dy[j * size + k] * wq[k * size + i]),
          4,
        )
      }
      for (let j = 0; j < size; j++) {
        expect(dw[i * size + j]).toBeCloseTo(
          sum(rows, (k) => dy[k * size + i] * xq[k][j]),
          4,
        )
      }
    }
    memory.owner.dispose()
  },
)

const STEP = { rate: 1e-2, decay: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8, clip: 1 }

/** All weights and losses of three steps of two batches each. */
async function shortRun(backend: Parameters<typeof Trainer.open>[0], shape: TrainingShape) {
  const trainer = filled(await Trainer.open(backend, shape))
  const losses: number[] = []
  for (let step = 0; step < 3; step++) {
    trainer.step([batchOf(2 * step), batchOf(2 * step + 1)], { ...STEP, step })
    losses.push(await trainer.loss())
  }
  const weights = await Promise.all(trainer.plan.parts.map((p) => trainer.read('weights', p)))
  trainer.dispose()
  return { losses, weights }
}

test('steps give the same bits with any number of threads, and when layers are computed again', async () => {
  const [one, two] = await Promise.all(native.map((own) => shortRun(own, shapeOf('b158'))))
  expect(two).toEqual(one)
  expect(await shortRun(native[1], { ...shapeOf('b158'), recompute: 'layer' })).toEqual(one)
  expect(one.losses[2]).toBeLessThan(one.losses[0] + 1)
})

test('a loss that is scaled for halves changes no bit where products do not round to them', async () => {
  const expected = await shortRun(native[0], shapeOf('b158'))
  expect(await shortRun(native[0], { ...shapeOf('b158'), precision: 'f16' })).toEqual(expected)
})

test.each([
  ['b158', absmeanQuantize],
  ['b1', signQuantize],
] as const)(
  'shares of the codes of %s and how many flip are those of its weights',
  async (quant, quantize) => {
    const trainer = filled(await Trainer.open(native[1], shapeOf(quant)))
    const codes = async () => {
      const linears = trainer.plan.parts.filter(({ kind }) => kind === 'linear')
      const all = await Promise.all(linears.map((part) => trainer.read('weights', part)))
      return linears.map(({ layer }, i) => ({ layer, codes: quantize(all[i]).codes }))
    }
    const sharesOf = (own: Awaited<ReturnType<typeof codes>>) =>
      [0, 1].map((layer) => {
        const mine = own.flatMap((part) => (part.layer === layer ? [...part.codes] : []))
        const share = (code: number) => mine.filter((one) => one === code).length / mine.length
        return { minus: share(-1), zero: share(0), plus: share(1) }
      })
    const before = await codes()
    expect(await trainer.look()).toEqual({ layers: sharesOf(before), flipped: undefined })
    for (let step = 0; step < 3; step++) trainer.step([batchOf(step)], { ...STEP, step })
    const after = await codes()
    const [old, now] = [before, after].map((all) => all.flatMap((part) => [...part.codes]))
    const flips = now.filter((code, i) => code !== old[i]).length
    expect(flips).toBeGreaterThan(0)
    expect(await trainer.look()).toEqual({ layers: sharesOf(after), flipped: flips / now.length })
    expect((await trainer.look())?.flipped).toBe(0)
    trainer.dispose()
  },
)

test('a model without ternary weights has no codes to look at', async () => {
  const trainer = await Trainer.open(reference, shapeOf('none'))
  expect(await trainer.look()).toBeUndefined()
  trainer.dispose()
})

test('texts go on with what is drawn from the logits of all before', async () => {
  const trainer = filled(await Trainer.open(reference, shapeOf('b158')))
  const prompts = [[1, 2], [3], [4, 5, 6]]
  const task = { prompts, maxTokens: 3, stops: new Set<number>() }
  const texts = await (await trainer.continuation(task)).run(9)
  // Two rows of seven tokens hold two windows of six: the third text comes for itself.
  const sequences = [0, 1, 0]
  for (const [i, prompt] of prompts.entries()) {
    const ids = [...prompt]
    for (let n = 0; n < 3 && ids.length < 6; n++) {
      const tokens = new Int32Array(14)
      tokens.set(ids)
      const logits = await trainer.logits({
        ...{ tokens, targets: new Int32Array(14), weights: new Float32Array(14) },
      })
      const row = logits.slice((ids.length - 1) * model.vocabSize, ids.length * model.vocabSize)
      const settings = settingWords({
        ...{ settings: SAMPLE_DRAW, seed: 9, sequence: sequences[i], answerStart: 0 },
      })
      const drawn = new Int32Array(1)
      sample(
        drawn,
        row,
        settings,
        Int32Array.of(0, 0, ids.length - 1, 0),
        Int32Array.of(0),
        1,
        model.vocabSize,
      )
      ids.push(drawn[0])
    }
    expect(texts[i]).toEqual(ids.slice(prompt.length))
  }
  // The first token of a text ends it at once.
  const stops = new Set(texts.map(([first]) => first))
  const ended = await (await trainer.continuation({ ...task, stops })).run(9)
  expect(ended).toEqual([[], [], []])
  trainer.dispose()
})

describe.each(['b158', 'b1'] as const)('quantisers of %s that come in step by step', (quant) => {
  const warm = { ...shapeOf(quant), quantizationWarmup: 4 }
  const gradientsOf = async (backend: Backend, shape: TrainingShape, share?: number) => {
    const trainer = filled(await Trainer.open(backend, shape))
    trainer.gradients([batchOf(1), batchOf(2)], share)
    const { parts } = trainer.plan
    const all = await Promise.all(parts.map((part) => trainer.read('gradients', part)))
    const found = { loss: await trainer.loss(), parts, all }
    trainer.dispose()
    return found
  }

  test('give the float model at first, and themselves at last', async () => {
    const plain = await gradientsOf(reference, shapeOf('none', { subNorms: true }))
    const first = await gradientsOf(reference, warm, 0)
    expect(first.loss).toBe(plain.loss)
    expect(first.all).toEqual(plain.all)
    const quantized = await gradientsOf(reference, shapeOf(quant))
    const last = await gradientsOf(reference, warm, 1)
    expect(last).toEqual(quantized)
    // Just before the end floats take the place of exact integers.
    const nearly = await gradientsOf(reference, warm, 1 - 2 ** -20)
    expect(nearly.loss).toBeCloseTo(quantized.loss, 3)
    for (const [i, part] of nearly.parts.entries()) {
      const scale = Math.max(...quantized.all[i].map(Math.abs))
      const off = Math.max(...nearly.all[i].map((g, k) => Math.abs(g - quantized.all[i][k])))
      expect(off / scale, `${part.role} ${part.layer}`).toBeLessThan(0.02)
    }
  })

  test('half in, are the same on processors, and learn from halves of both', async () => {
    const half = await gradientsOf(reference, warm, 0.5)
    const [none, all] = [await gradientsOf(reference, warm, 0), await gradientsOf(reference, warm)]
    expect(half.loss).not.toBe(none.loss)
    expect(half.loss).not.toBe(all.loss)
    for (const backend of native) {
      const own = await gradientsOf(backend, warm, 0.5)
      expect(own.loss).toBeCloseTo(half.loss, 4)
    }
  })

  test('come in with the steps', async () => {
    const trainer = filled(await Trainer.open(native[0], warm))
    const plain = filled(await Trainer.open(native[0], shapeOf('none', { subNorms: true })))
    const quantized = filled(await Trainer.open(native[0], shapeOf(quant)))
    const step = async (own: Trainer, at: number) => {
      own.step([batchOf(1)], { ...ADAMW, step: at, rate: 0, decay: 0 })
      return own.loss()
    }
    expect(await step(trainer, 0)).toBe(await step(plain, 0))
    expect(await step(trainer, 4)).toBe(await step(quantized, 4))
    for (const own of [trainer, plain, quantized]) own.dispose()
  })
})

test('quantisers that come in step by step need something to come in', async () => {
  const shape = { ...shapeOf('none'), quantizationWarmup: 4 }
  await expect(Trainer.open(reference, shape)).rejects.toThrow('--quantization-warmup')
})

test('halves that a GPU gets wrong are refused before anything is learnt from them', async () => {
  await expect(checkHalves(reference)).resolves.toBeUndefined()
  const faulty = new Proxy(reference, {
    get: (backend, name) => {
      if (name === 'read') return async (slice: BufferSlice) => new Uint8Array(slice.byteLength)
      const own = Reflect.get(backend, name, backend)
      return typeof own === 'function' ? own.bind(backend) : own
    },
  })
  await expect(checkHalves(faulty)).rejects.toThrow('--precision f32')
})

test('what the trainer has no graph for is refused by name', async () => {
  const open = (changes: Partial<ModelConfig>) => Trainer.open(reference, shapeOf('b158', changes))
  await expect(open({ ffnDim: 40 })).rejects.toThrow(UsageError)
  await expect(open({ ffnDim: 40 })).rejects.toThrow('ffnDim to be a multiple of 16')
  await expect(open({ headNorms: true })).rejects.toThrow('headNorms')
  await expect(open({ contextLength: 5 })).rejects.toThrow('2 to 5 tokens')
  await expect(open({ embeddingFactor: 3 })).rejects.toThrow('embeddingFactor')
})

test('losses that are kept on the device are those of each step', async () => {
  const trainer = filled(await Trainer.open(reference, shapeOf('b158')))
  const losses = await trainer.stepLosses(3)
  const expected: StepLoss[] = []
  for (const [round, count] of [3, 1, 2].entries()) {
    for (let i = 0; i < count; i++) {
      const step = round * 3 + i
      trainer.step([batchOf(step)], { ...ADAMW, step, rate: 1e-3, decay: 0 })
      losses.keep()
      expected.push({ loss: await trainer.loss(), norm: await trainer.gradientNorm() })
    }
    expect(await losses.read()).toEqual(expected.splice(0))
  }
  expect(await losses.read()).toEqual([])
  trainer.dispose()
})
