/** Every preset is a shape that can be trained, of about the size that it is called by. */
import { expect, test } from 'vitest'
import { planTraining } from './plan.ts'
import { PRESET_NAMES, PRESETS, presetConfig, ratesOf } from './presets.ts'
import { checkShape, QUANT_MODES } from './shape.ts'

/** With the vocabulary of the papers' models; small ones are called by what they have beside it. */
const SIZES: Readonly<Record<string, number>> = {
  '700m': 0.73e9,
  '1.3b': 1.28e9,
  '3b': 3.32e9,
  '3.9b': 4.36e9,
}

test.each(PRESET_NAMES)('%s', (name) => {
  for (const quant of QUANT_MODES) {
    const model = presetConfig(name, quant, 32_002)
    const { batch, length } = PRESETS[name]
    const shape = { model, quant, batch, length, recompute: 'none' } as const
    checkShape(shape)
    const { parts } = planTraining(shape)
    const parameters = parts.reduce((sum, { count }) => sum + count, 0)
    expect(parameters).toBeGreaterThan(0)
    const size = SIZES[name]
    if (size !== undefined) expect(Math.abs(parameters / size - 1)).toBeLessThan(0.01)
  }
})

test("rates of the papers' sizes are theirs, with quantisers and without", () => {
  expect(ratesOf(PRESETS['700m'], 'b158')).toEqual([1.5e-3, 1e-3])
  expect(ratesOf(PRESETS['700m'], 'none')[0]).toBeCloseTo(2.5e-4)
  expect(ratesOf(PRESETS['3b'], 'none')[0]).toBeCloseTo(2e-4)
})
