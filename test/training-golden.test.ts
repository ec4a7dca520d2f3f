/**
 * The trainer against a two-layer model in PyTorch with the papers' quantisers: logits and every gradient of the
 * first step, and the losses of ten steps of AdamW. Needs ../shared/goldens/training.
 */
import { existsSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import type { Backend } from '../src/backends/backend.ts'
import { openNativeBackend } from '../src/backends/native/native-backend.ts'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import { BASE_ISA } from '../src/backends/webgpu/webgpu-backend.ts'
import type { ModelConfig } from '../src/model/config/config.ts'
import type { Role } from '../src/model/layers.ts'
import type { PlannedPart } from '../src/train/plan.ts'
import { QUANT_MODES, type QuantMode } from '../src/train/shape.ts'
import { Trainer, type TrainingBatch } from '../src/train/trainer.ts'
import { missingForGpu, openSoftwareGpu } from './support/backends.ts'
import { sharedPath } from './support/fixtures.ts'

const FOLDER = sharedPath('goldens/training')

const config: ModelConfig = {
  architecture: 'bitnet',
  name: 'golden',
  dim: 64,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  headDim: 16,
  ffnDim: 128,
  vocabSize: 96,
  contextLength: 24,
  ropeTheta: 10_000,
  normEps: 1e-5,
  activation: 'relu2',
  subNorms: true,
  tiedHead: true,
  linear: 'ternary',
}

/** What the goldens call each role. */
const NAMES: Readonly<Partial<Record<Role, string>>> = {
  embedding: 'embed',
  finalNorm: 'norm',
  attentionNorm: 'n1',
  attentionSubNorm: 'ns',
  ffnNorm: 'n2',
  ffnSubNorm: 'nf',
  query: 'q',
  key: 'k',
  value: 'v',
  output: 'o',
  gate: 'g',
  up: 'u',
  down: 'd',
}

const STEPS = 10
/** On a GPU in software, whose ternary products take seconds a step. */
const FEW_STEPS = 3

function readGolden(mode: QuantMode) {
  const bytes = readFileSync(`${FOLDER}/${mode}.safetensors`)
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length))
  const at = (name: string) => {
    const [from, to] = header[name].data_offsets
    return Uint8Array.from(bytes.subarray(8 + length + from, 8 + length + to)).buffer
  }
  const tokens = new Int32Array(at('tokens'))
  return {
    floats: (name: string) => new Float32Array(at(name)),
    losses: new Float64Array(at('losses')),
    batch(step: number): TrainingBatch {
      const rows = [0, 1].map((row) =>
        tokens.subarray((step * 2 + row) * 25, (step * 2 + row + 1) * 25),
      )
      return {
        tokens: Int32Array.from(rows.flatMap((row) => [...row.subarray(0, 24)])),
        targets: Int32Array.from(rows.flatMap((row) => [...row.subarray(1)])),
        weights: new Float32Array(48).fill(1 / 48),
      }
    },
  }
}

/** The length of the difference over that of what was expected. */
function distance(got: Float32Array, expected: Float32Array): number {
  const difference = Math.hypot(...got.map((value, i) => value - expected[i]))
  return difference / Math.hypot(...expected)
}

function goldenName({ role, layer }: PlannedPart): string {
  return layer === undefined ? `${NAMES[role]}` : `${layer}.${NAMES[role]}`
}

const backends: readonly (readonly [string, Backend])[] = [
  ['reference', createReferenceBackend()],
  ['native, 2 threads', openNativeBackend({ threads: 2 })],
  ...(missingForGpu() === undefined ? [['webgpu', await openSoftwareGpu(BASE_ISA)] as const] : []),
]

afterAll(() => {
  for (const [, backend] of backends) backend.dispose()
})

/** Losses of a run whose roundings are all PyTorch's, and of one where some fall the other way. */
const SAME_ROUNDING = 1e-5
const OTHER_ROUNDING = 5e-3

describe.skipIf(!existsSync(FOLDER))('PyTorch (needs ../shared/goldens/training)', () => {
  describe.each(QUANT_MODES)('%s', (quant) => {
    test.each(backends)('agrees with the %s backend', async (_, backend) => {
      const golden = readGolden(quant)
      const model = { ...config, linear: quant === 'none' ? 'dense' : 'ternary' } as const
      const shape = { model, quant, batch: 2, length: 24, recompute: 'none' } as const
      const trainer = await Trainer.open(backend, shape)
      for (const part of trainer.plan.parts) {
        trainer.write('weights', part, golden.floats(`init.${goldenName(part)}`))
      }
      const logits = await trainer.logits(golden.batch(0))
      const expected = golden.floats('logits')
      const worst = Math.max(...logits.map((value, i) => Math.abs(value - expected[i])))
      const gradients: Record<string, number> = {}
      const losses: number[] = []
      const isSlow = backend.name === 'webgpu' && quant !== 'none'
      for (let step = 0; step < (isSlow ? FEW_STEPS : STEPS); step++) {
        trainer.step([golden.batch(step)], {
          step,
          rate: 1e-3,
          decay: 0.1,
          beta1: 0.9,
          beta2: 0.95,
          eps: 1e-8,
          clip: 0,
        })
        losses.push(await trainer.loss())
        if (step > 0) continue
        for (const part of trainer.plan.parts) {
          const name = goldenName(part)
          const own = await trainer.read('gradients', part)
          gradients[name] = distance(own, golden.floats(`grad.${name}`))
        }
      }
      trainer.dispose()
      expect(worst).toBeLessThan(1e-5)
      expect(Math.max(...Object.values(gradients))).toBeLessThan(1e-4)
      const off = losses.map((loss, i) => Math.abs(loss - golden.losses[i]))
      // Nothing rounds the other way in the first step. Later on float32 sums of another order move latent
      // weights by their last bits, and with quantisers one of them crosses an edge now and then.
      expect(off[0]).toBeLessThan(SAME_ROUNDING)
      const tolerance = quant === 'none' ? SAME_ROUNDING : OTHER_ROUNDING
      expect(Math.max(...off)).toBeLessThan(tolerance)
    })
  })
})
