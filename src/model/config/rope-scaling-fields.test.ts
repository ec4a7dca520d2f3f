/** Rope scaling as config.json and GGUF metadata describe it. */
import { describe, expect, test } from 'vitest'
import type { ConfigFields } from './config-fields.ts'
import { ropeScalingFromGguf, ropeScalingFromJson } from './rope-scaling-fields.ts'

function fields(values: Record<string, unknown>): ConfigFields {
  return { source: 'm', get: (key) => values[key] }
}

const json = (values: Record<string, unknown>) =>
  ropeScalingFromJson(fields(values), 'rope_scaling', 65536)
const gguf = (values: Record<string, unknown>) =>
  ropeScalingFromGguf(fields(values), (name) => name, 65536)

const YARN = {
  type: 'yarn',
  factor: 4,
  originalContext: 16384,
  attentionFactor: 0.1 * Math.log(4) + 1,
  betaFast: 32,
  betaSlow: 1,
  truncate: true,
}

describe('yarn', () => {
  test('is the same from both formats', () => {
    const original_max_position_embeddings = 16384
    expect(json({ rope_type: 'yarn', factor: 4, original_max_position_embeddings })).toEqual(YARN)
    expect(
      gguf({
        'rope.scaling.type': 'yarn',
        'rope.scaling.factor': 4,
        'rope.scaling.original_context_length': 16384,
      }),
    ).toEqual(YARN)
  })

  test('takes an attention factor as it is in config.json, and beside its own growth in GGUF', () => {
    expect(json({ type: 'yarn', factor: 4, attention_factor: 0.5 })).toMatchObject({
      attentionFactor: 0.5,
      originalContext: 65536,
    })
    expect(
      gguf({
        'rope.scaling.type': 'yarn',
        'rope.scaling.factor': 4,
        'rope.scaling.attn_factor': 0.5,
        'rope.scaling.yarn_beta_fast': 16,
      }),
    ).toMatchObject({ attentionFactor: 0.5 * YARN.attentionFactor, betaFast: 16 })
  })

  test('weighs two growths against each other where config.json has both', () => {
    const both = json({ type: 'yarn', factor: 4, mscale: 1, mscale_all_dim: 0.5 })
    const expected = (0.1 * Math.log(4) + 1) / (0.05 * Math.log(4) + 1)
    expect(both).toMatchObject({ attentionFactor: expected })
    expect(json({ type: 'yarn', factor: 4, mscale: 0.7 })).toMatchObject({
      attentionFactor: YARN.attentionFactor,
    })
  })
})

describe('linear scaling', () => {
  test('is what a GGUF factor without a type means, of either name', () => {
    const linear = { type: 'linear', factor: 8 }
    expect(gguf({ 'rope.scaling.factor': 8 })).toEqual(linear)
    expect(gguf({ 'rope.scale_linear': 8 })).toEqual(linear)
    expect(json({ type: 'linear', factor: 8 })).toEqual(linear)
  })

  test('by one, or switched off, is none', () => {
    expect(gguf({ 'rope.scaling.factor': 1 })).toBeUndefined()
    expect(gguf({ 'rope.scale_linear': 0 })).toBeUndefined()
    expect(gguf({ 'rope.scaling.type': 'none', 'rope.scaling.factor': 8 })).toBeUndefined()
    expect(json({ rope_type: 'default', rope_theta: 10000 })).toBeUndefined()
  })
})

test.each([{}, { 'rope.scaling.type': 'none' }, { 'rope.scaling.factor': 8 }])(
  'growth of attention is refused where %j knows none',
  (values) => {
    expect(gguf({ ...values, 'rope.scaling.attn_factor': 1 })).toEqual(gguf(values))
    expect(() => gguf({ ...values, 'rope.scaling.attn_factor': 2 })).toThrow(
      '"rope.scaling.attn_factor"',
    )
  },
)

test('llama3 needs its ramp to rise', () => {
  const ramp = { rope_type: 'llama3', factor: 8, original_max_position_embeddings: 8192 }
  expect(json({ ...ramp, low_freq_factor: 1, high_freq_factor: 4 })).toEqual({
    type: 'llama3',
    factor: 8,
    originalContext: 8192,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
  })
  expect(() => json({ ...ramp, low_freq_factor: 4, high_freq_factor: 4 })).toThrow('high_freq')
})
