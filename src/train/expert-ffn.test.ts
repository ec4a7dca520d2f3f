/** Training of mixtures: against the same model without experts, and the router against its slopes. */
import { afterAll, describe, expect, test } from 'vitest'
import { missingForGpu, openSoftwareGpu } from '../../test/support/backends.ts'
import type { Backend } from '../backends/backend.ts'
import { openNativeBackend } from '../backends/native/native-backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { UsageError } from '../errors.ts'
import { Seeded } from '../kernels/testing/conformance-cases.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { allocateTraining } from './memory.ts'
import { type PlannedPart, planTraining } from './plan.ts'
import { mixtureNamed, PRESETS, presetConfig } from './presets.ts'
import type { TrainingShape } from './shape.ts'
import { Trainer } from './trainer.ts'

const reference = createReferenceBackend()
const native = [1, 2].map((threads) => openNativeBackend({ threads }))

afterAll(() => {
  for (const backend of [reference, ...native]) backend.dispose()
})

const model: ModelConfig = {
  architecture: 'bitnet_moe',
  name: 'made up',
  ...{ dim: 32, nLayers: 2, nHeads: 2, nKvHeads: 1, headDim: 16, ffnDim: 48 },
  ...{ vocabSize: 40, contextLength: 20, ropeTheta: 100, normEps: 1e-5 },
  ...{ activation: 'relu2', subNorms: true, tiedHead: true, linear: 'ternary' },
}

function shapeOf(changes: Partial<ModelConfig>, more: Partial<TrainingShape> = {}): TrainingShape {
  const own = { ...model, ...changes }
  return { model: own, quant: 'b158', batch: 2, length: 7, recompute: 'none', ...more }
}

/** Values by role and layer, so that experts have those of the one feed-forward of another model. */
function valuesOf(part: PlannedPart, router = 0.4): Float32Array {
  const seeded = new Seeded(
    [...part.role].reduce((n, c) => n * 31 + c.charCodeAt(0), part.layer ?? 9),
  )
  const values = seeded.floats(part.count, part.kind === 'table' ? 1 : 0.4)
  if (part.kind === 'norm') return values.map((value) => value + 1)
  return part.kind === 'router' ? values.map((value) => value * (router / 0.4)) : values
}

async function filled(shape: TrainingShape, router?: number, backend: Backend = reference) {
  const trainer = await Trainer.open(backend, shape)
  for (const part of trainer.plan.parts) trainer.write('weights', part, valuesOf(part, router))
  return trainer
}

function batchOf(seed: number) {
  const seeded = new Seeded(seed)
  const ids = () => Int32Array.from({ length: 14 }, () => seeded.below(model.vocabSize))
  return { tokens: ids(), targets: ids(), weights: seeded.positive(14, 0.1) }
}

const partOf = ({ plan }: Trainer, like: Partial<PlannedPart>) => {
  const found = plan.parts.find((part) =>
    Object.entries(like).every(([key, value]) => part[key as keyof PlannedPart] === value),
  )
  if (found === undefined) throw new Error(`no part ${JSON.stringify(like)}`)
  return found
}

function expectNear(own: Float32Array, wanted: Float32Array, share = 1e-5): void {
  const largest = Math.max(...wanted.map(Math.abs))
  expect(largest).toBeGreaterThan(0)
  for (const [i, value] of own.entries()) {
    expect(Math.abs(value - wanted[i]), `element ${i}`).toBeLessThan(share * largest)
  }
}

describe.each([
  ['with sub-norms and relu2', {}],
  ['without sub-norms, with silu', { subNorms: false, activation: 'silu' }],
] as const)('a mixture %s', (_, changes) => {
  test('of one expert has the gradients of the model without experts', async () => {
    const plain = await filled(shapeOf(changes))
    const own = await filled(shapeOf({ ...changes, experts: { count: 1, top: 1 } }))
    for (const trainer of [plain, own]) trainer.gradients([batchOf(1), batchOf(2)])
    expect(await own.loss()).toBeCloseTo(await plain.loss(), 6)
    for (const part of plain.plan.parts) {
      const { role, layer } = part
      const gradient = await own.read('gradients', partOf(own, { role, layer }))
      expectNear(gradient, await plain.read('gradients', part))
    }
    plain.dispose()
    own.dispose()
  })

  test('of two that are alike shares its gradients between them', async () => {
    const plain = await filled(shapeOf(changes))
    const own = await filled(shapeOf({ ...changes, experts: { count: 3, top: 2 } }))
    for (const trainer of [plain, own]) trainer.gradients([batchOf(1)])
    expect(await own.loss()).toBeCloseTo(await plain.loss(), 5)
    for (const role of ['gate', 'up', 'down'] as const) {
      const sum = new Float32Array(partOf(plain, { role, layer: 1 }).count)
      for (let expert = 0; expert < 3; expert++) {
        const gradient = await own.read('gradients', partOf(own, { role, layer: 1, expert }))
        for (const [i, value] of gradient.entries()) sum[i] += value
      }
      expectNear(sum, await plain.read('gradients', partOf(plain, { role, layer: 1 })), 1e-4)
    }
    plain.dispose()
    own.dispose()
  })
})

test('the gradient of a router is its slope', async () => {
  // One layer: behind it everything is smooth, and the experts' int8 inputs do not depend on the router.
  const shape = shapeOf({ nLayers: 1, experts: { count: 4, top: 2 } }, { balance: 0 })
  const trainer = await filled(shape, 2)
  for (let expert = 0; expert < 4; expert++) {
    for (const role of ['gate', 'up', 'down'] as const) {
      const part = partOf(trainer, { role, expert })
      trainer.write('weights', part, new Seeded(expert * 7 + role.length).floats(part.count, 0.4))
    }
  }
  const router = partOf(trainer, { role: 'router' })
  trainer.gradients([batchOf(1)])
  const gradient = await trainer.read('gradients', router)
  const values = await trainer.read('weights', router)
  const largest = Math.max(...gradient.map(Math.abs))
  expect(largest).toBeGreaterThan(1e-4)
  for (const at of [gradient.findIndex((g) => Math.abs(g) === largest), 3, 40, 77]) {
    const losses: number[] = []
    for (const sign of [1, -1]) {
      const moved = values.slice()
      moved[at] += sign * 2 ** -8
      trainer.write('weights', router, moved)
      trainer.score([batchOf(1)])
      losses.push(await trainer.loss())
    }
    const slope = (losses[0] - losses[1]) * 2 ** 7
    expect(Math.abs(slope - gradient[at]), `element ${at}`).toBeLessThan(0.02 * largest)
  }
  trainer.dispose()
})

test('a loss of uneven use spreads rows over the experts', async () => {
  const run = async (balance: number) => {
    const experts = { count: 4, top: 1 }
    const trainer = await filled(shapeOf({ nLayers: 1, experts }, { balance }), 0.4)
    const router = partOf(trainer, { role: 'router' })
    trainer.gradients([batchOf(1)])
    const gradient = await trainer.read('gradients', router)
    trainer.dispose()
    return gradient
  }
  // Of one expert a token the weight is 1, whatever its logit: the router learns by this loss alone.
  expect((await run(0)).every((value) => value === 0)).toBe(true)
  const [one, two] = [await run(0.01), await run(0.02)]
  expectNear(
    two,
    one.map((value) => 2 * value),
  )
})

test('gradients do not depend on threads, nor on what is computed again', async () => {
  const run = async (shape: TrainingShape, backend: (typeof native)[number]) => {
    const trainer = await filled(shape, 2, backend)
    const settings = { beta1: 0.9, beta2: 0.95, eps: 1e-8, clip: 1, rate: 0.01, decay: 0.1 }
    for (let step = 0; step < 3; step++)
      trainer.step([batchOf(step), batchOf(9)], { ...settings, step })
    const parts = await Promise.all(trainer.plan.parts.map((part) => trainer.read('weights', part)))
    trainer.dispose()
    return parts
  }
  const shape = shapeOf({ experts: { count: 6, top: 2 } })
  const expected = await run(shape, native[0])
  expect(await run(shape, native[1])).toEqual(expected)
  expect(await run({ ...shape, recompute: 'layer' }, native[0])).toEqual(expected)
})

test.skipIf(missingForGpu() !== undefined)('a GPU has the same gradients', async () => {
  const gpu = await openSoftwareGpu()
  const shape = shapeOf({ nLayers: 1, experts: { count: 4, top: 2 } })
  const [own, wanted] = [await filled(shape, 2, gpu), await filled(shape, 2)]
  for (const trainer of [own, wanted]) trainer.gradients([batchOf(1)])
  expect(await own.loss()).toBeCloseTo(await wanted.loss(), 5)
  for (const part of wanted.plan.parts) {
    expectNear(await own.read('gradients', part), await wanted.read('gradients', part), 1e-3)
  }
  own.dispose()
  wanted.dispose()
  await gpu.dispose()
})

test('a mixture by its name is as wide, for a token, as the preset', () => {
  expect(mixtureNamed('experts=8,top=2')).toEqual({ count: 8, top: 2, balance: 0.01 })
  expect(mixtureNamed('top=3, experts=3, balance=0')).toEqual({ count: 3, top: 3, balance: 0 })
  for (const name of [
    '',
    'experts=8',
    'experts=8,top=9',
    'experts=0,top=1',
    'experts=8,top=2,k=1',
  ]) {
    expect(() => mixtureNamed(name), name).toThrow(UsageError)
  }
  const config = presetConfig('6m', 'b158', 300, { count: 8, top: 3 })
  expect(config).toMatchObject({ ffnDim: PRESETS['6m'].ffnDim / 3, experts: { count: 8, top: 3 } })
  expect(presetConfig('tiny', 'b158', 300, { count: 4, top: 3 }).ffnDim).toBe(96)
})

test('a mixture takes the memory that is planned', () => {
  const mixed = presetConfig('tiny', 'b158', 259, { count: 8, top: 2 })
  const plan = planTraining({ ...shapeOf({}), model: mixed, batch: 4, length: 64 })
  const planned = Object.values(plan.bytes).reduce((sum, bytes) => sum + bytes)
  const before = reference.allocatedBytes
  const { owner } = allocateTraining(reference, plan)
  const share = (reference.allocatedBytes - before) / planned
  owner.dispose()
  expect(share).toBeGreaterThan(0.9)
  expect(share).toBeLessThan(1.1)
})

test('without quantisers there is no mixture', async () => {
  const shape = shapeOf({ linear: 'dense', experts: { count: 2, top: 1 } }, { quant: 'none' })
  await expect(Trainer.open(reference, shape)).rejects.toThrow('mixture of experts')
})
