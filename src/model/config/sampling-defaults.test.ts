/** What unset sampling fields mean, by file. */
import { describe, expect, test } from 'vitest'
import { samplingFromGenerationConfig, samplingFromGguf } from './sampling-defaults.ts'

describe('generation_config.json', () => {
  test('says what it says, and the rest is our own', () => {
    const json = { do_sample: true, temperature: 0.6, top_p: 0.8, top_k: 40 }
    expect(samplingFromGenerationConfig(json, 'm').defaults).toMatchObject({
      temperature: 0.6,
      topP: 0.8,
      topK: 40,
      minP: 0,
    })
  })

  test('may be missing', () => {
    expect(samplingFromGenerationConfig(undefined, 'm').defaults).toMatchObject({
      temperature: 0.7,
      topP: 0.9,
    })
  })

  test('that asks for no sampling means greedy', () => {
    const json = { do_sample: false, temperature: 0.6 }
    expect(samplingFromGenerationConfig(json, 'm').defaults.temperature).toBe(0)
  })

  test.each([
    [{ top_k: -1 }, { topK: 0 }],
    [{ top_k: 0 }, { topK: 0 }],
    [{ top_k: 2 ** 31 }, { topK: 0 }],
    [{ top_p: 0 }, { topP: 1 }],
    [{ top_p: 1 }, { topP: 1 }],
    [{ top_p: 1.5 }, { topP: 1 }],
    [{ min_p: 0 }, { minP: 0 }],
    [{ min_p: 0.9 }, { minP: 0.9 }],
    [{ temperature: 0 }, { temperature: 0 }],
    [
      { temperature: null, top_k: null, do_sample: null },
      { temperature: 0.7, topK: 40 },
    ],
  ])('%j is read as other programs do', (json, expected) => {
    const { defaults, warnings } = samplingFromGenerationConfig(json, 'm')
    expect(defaults).toMatchObject(expected)
    expect(warnings).toEqual([])
  })

  test.each([
    ['temperature', { temperature: -1 }],
    ['temperature', { temperature: Number.NaN }],
    ['temperature', { temperature: Infinity }],
    ['top_p', { top_p: -0.1 }],
    ['top_p', { top_p: '0.9' }],
    ['top_k', { top_k: 1.5 }],
    ['min_p', { min_p: 2 }],
    ['repetition_penalty', { repetition_penalty: 'high' }],
    ['repetition_penalty', { repetition_penalty: 0 }],
    ['do_sample', { do_sample: 1 }],
  ])('a %s that makes no sense is left out, with a warning', (field, json) => {
    const { defaults, warnings } = samplingFromGenerationConfig(json, 'm')
    expect(defaults).toEqual(samplingFromGenerationConfig(undefined, 'm').defaults)
    expect(warnings).toEqual([expect.stringContaining(`Expected "${field}" of m to be`)])
  })
})

test('GGUF keys go before our own defaults', () => {
  const metadata = new Map([
    ['general.sampling.temp', Math.fround(0.6)],
    ['general.sampling.top_k', -1],
    ['general.sampling.min_p', Math.fround(0.05)],
    ['general.sampling.penalty_repeat', -2],
  ])
  const { defaults, warnings } = samplingFromGguf({ metadata, name: 'm' })
  expect(defaults).toMatchObject({ temperature: 0.6, topK: 0, topP: 0.9, minP: 0.05 })
  expect(defaults.repetitionPenalty).toBe(1.1)
  expect(warnings).toEqual([expect.stringContaining('general.sampling.penalty_repeat')])
})

test('ways of drawing that only others have are told, and their values for "off" are not', () => {
  const off = { typical_p: 1, num_beams: 1, no_repeat_ngram_size: 0, guidance_scale: null }
  expect(samplingFromGenerationConfig({ ...off, top_p: 0.5 }, 'm').warnings).toEqual([])
  const { defaults, warnings } = samplingFromGenerationConfig(
    { typical_p: 0.9, num_beams: 4, no_repeat_ngram_size: '3', top_p: 0.5 },
    'm',
  )
  expect(defaults.topP).toBe(0.5)
  expect(warnings).toEqual([
    'Expected "typical_p" of m to be 1, got 0.9; it is left out.',
    'Expected "num_beams" of m to be 1, got 4; it is left out.',
    'Expected "no_repeat_ngram_size" of m to be 0, got "3"; it is left out.',
  ])
  const metadata = new Map<string, number>([
    ['general.sampling.mirostat', 2],
    ['general.sampling.xtc_probability', 0],
  ])
  expect(samplingFromGguf({ metadata, name: 'm' }).warnings).toEqual([
    'Expected "general.sampling.mirostat" of m to be 0, got 2; it is left out.',
  ])
})
