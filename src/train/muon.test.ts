/** Muon's steps against a plain one in float64, on every backend that is here. */
import { afterAll, describe, expect, test } from 'vitest'
import { missingForGpu, openSoftwareGpu } from '../../test/support/backends.ts'
import { filled } from '../../test/support/filled-trainer.ts'
import type { Backend } from '../backends/backend.ts'
import { openNativeBackend } from '../backends/native/native-backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { BASE_ISA } from '../backends/webgpu/webgpu-backend.ts'
import { Seeded } from '../kernels/testing/conformance-cases.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { ADAMW } from './adamw.ts'
import { muonParts, type PlannedPart, planTraining } from './plan.ts'
import type { TrainingShape } from './shape.ts'
import { Trainer } from './trainer.ts'

const model: ModelConfig = {
  architecture: 'bitnet',
  name: 'made up',
  dim: 32,
  nLayers: 1,
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
  tiedHead: false,
  linear: 'ternary',
}

const shape: TrainingShape = {
  ...{ model, quant: 'b158', batch: 2, length: 7, recompute: 'none', optimizer: 'muon' },
}

const opened: Backend[] = []
afterAll(() => Promise.all(opened.map((backend) => backend.dispose())))

const BACKENDS: Record<string, () => Promise<Backend>> = {
  reference: async () => createReferenceBackend(),
  'native, one thread': async () => openNativeBackend({ threads: 1 }),
  'native, two threads': async () => openNativeBackend({ threads: 2 }),
  ...(missingForGpu() === undefined && { GPU: () => openSoftwareGpu(BASE_ISA) }),
}

async function openTrainer(open: () => Promise<Backend>, own = shape): Promise<Trainer> {
  const backend = await open()
  opened.push(backend)
  return filled(await Trainer.open(backend, own))
}

function batchOf(seed: number) {
  const seeded = new Seeded(seed)
  const ids = () => Int32Array.from({ length: 14 }, () => seeded.below(model.vocabSize))
  return { tokens: ids(), targets: ids(), weights: seeded.positive(14, 0.1) }
}

const SETTINGS = { ...ADAMW, rate: 0.02, decay: 0.1 }

type Matrix = readonly (readonly number[])[]

const times = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0].map((_, col) => row.reduce((sum, value, i) => sum + value * b[i][col], 0)))
const turned = (a: Matrix): Matrix => a[0].map((_, col) => a.map((row) => row[col]))
const mixed = (a: number, x: Matrix, b: number, y: Matrix): Matrix =>
  x.map((row, i) => row.map((value, j) => a * value + b * y[i][j]))

function matrixOf(values: ArrayLike<number>, { rows, cols }: PlannedPart): Matrix {
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: cols }, (_, col) => values[row * cols + col]),
  )
}

/** The published steps, on the side that has fewer products. */
function orthogonal(update: Matrix): Matrix {
  if (update.length > update[0].length) return turned(orthogonal(turned(update)))
  const norm = Math.sqrt(update.flat().reduce((sum, value) => sum + value * value, 0))
  let x: Matrix = update.map((row) => row.map((value) => value / norm))
  for (let step = 0; step < 5; step++) {
    const gram = times(x, turned(x))
    const polynomial = mixed(-4.775, gram, 2.0315, times(gram, gram))
    x = mixed(3.4445, x, 1, times(polynomial, x))
  }
  return x
}

describe.each(Object.entries(BACKENDS))('on %s', (_, open) => {
  test('two steps of each matrix are the plain ones, gradients clipped', async () => {
    const trainer = await openTrainer(open)
    const parts = muonParts(trainer.plan)
    expect(parts.map(({ role }) => role)).toEqual([
      'query',
      'key',
      'value',
      'output',
      'gate',
      'up',
      'down',
    ])
    const momenta = new Map<PlannedPart, Matrix>()
    for (const step of [0, 1]) {
      const before = await Promise.all(parts.map((part) => trainer.read('weights', part)))
      trainer.step([batchOf(step + 1)], { ...SETTINGS, step })
      const norm = await trainer.gradientNorm()
      expect(norm).toBeGreaterThan(0.3)
      const factor = Math.min(1, SETTINGS.clip / (norm + 1e-6))
      for (const [i, part] of parts.entries()) {
        const gradient = matrixOf(await trainer.read('gradients', part), part).map((row) =>
          row.map((value) => value * factor),
        )
        const zeros = gradient.map((row) => row.map(() => 0))
        const momentum = mixed(0.95, momenta.get(part) ?? zeros, 0.05, gradient)
        momenta.set(part, momentum)
        const direction = orthogonal(mixed(0.95, momentum, 0.05, gradient))
        const size = SETTINGS.rate * 0.2 * Math.sqrt(Math.max(part.rows, part.cols))
        const keep = 1 - SETTINGS.rate * SETTINGS.decay
        const expected = mixed(keep, matrixOf(before[i], part), -size, direction).flat()
        const got = await trainer.read('weights', part)
        const far = Math.max(...expected.map((value, at) => Math.abs(value - got[at])))
        const largest = Math.max(...direction.flat().map((value) => Math.abs(size * value)))
        expect(far / largest, `${part.role} in step ${step}`).toBeLessThan(2e-4)
      }
    }
    trainer.dispose()
  })
})

test('what is no matrix of a layer takes the steps of AdamW', async () => {
  const [muon, adamw] = [
    await openTrainer(BACKENDS['reference']),
    await openTrainer(BACKENDS['reference'], { ...shape, optimizer: 'adamw' }),
  ]
  for (const trainer of [muon, adamw]) trainer.step([batchOf(1)], { ...SETTINGS, step: 0 })
  const matrices = new Set(muonParts(muon.plan).map(({ role }) => role))
  for (const part of muon.plan.parts) {
    const [own, other] = [await muon.read('weights', part), await adamw.read('weights', part)]
    if (matrices.has(part.role)) expect(own).not.toEqual(other)
    else expect(own, part.role).toEqual(other)
  }
})

test('a gradient that is no number leaves weights and moments as they were, and later steps right', async () => {
  const trainer = await openTrainer(BACKENDS['reference'])
  const read = () =>
    Promise.all(
      trainer.plan.parts.flatMap((part) => [
        trainer.read('weights', part),
        trainer.read('means', part),
      ]),
    )
  const before = await read()
  const broken = { ...batchOf(1), weights: new Float32Array(14).fill(Number.NaN) }
  trainer.step([broken], { ...SETTINGS, step: 0 })
  expect(await read()).toEqual(before)
  trainer.step([batchOf(1)], { ...SETTINGS, step: 0 })
  const after = await read()
  const fresh = await openTrainer(BACKENDS['reference'])
  fresh.step([batchOf(1)], { ...SETTINGS, step: 0 })
  const [part] = muonParts(trainer.plan)
  expect(await trainer.read('weights', part)).toEqual(await fresh.read('weights', part))
  expect(after.flatMap((values) => [...values]).every(Number.isFinite)).toBe(true)
})

test('the plan counts what it needs beside', () => {
  const [muon, adamw] = [shape, { ...shape, optimizer: 'adamw' } as const].map(planTraining)
  expect(muon.bytes.scratch - adamw.bytes.scratch).toBe(4 * (4 * 32 * 48 + 3 * 32 * 32))
})
