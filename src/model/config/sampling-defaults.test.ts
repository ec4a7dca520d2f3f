/** What unset sampling fields mean, by file. */
import { describe, expect, test } from 'vitest'
import { samplingFromGenerationConfig, samplingFromGguf } from './sampling-defaults.ts'

describe('generation_config.json', () => {
  test('says what it says, and the rest is our own', () => {
    const json = { do_sample: true, temperature: 0.6, top_p: 0.8, top_k: 40 }
    expect(samplingFromGenerationConfig(json, 'm')).toMatchObject({
      temperature: 0.6,
      topP: 0.8,
      topK: 40,
      minP: 0,
    })
  })

  test('may be missing', () => {
    expect(samplingFromGenerationConfig(undefined, 'm')).toMatchObject({
      temperature: 0.7,
      topP: 0.9,
    })
  })

  test('that asks for no sampling means greedy', () => {
    const json = { do_sample: false, temperature: 0.6 }
    expect(samplingFromGenerationConfig(json, 'm').temperature).toBe(0)
  })

  test.each([
    ['temperature', { temperature: -1 }],
    ['top_p', { top_p: 0 }],
    ['top_k', { top_k: 1.5 }],
    ['repetition_penalty', { repetition_penalty: 'high' }],
    ['do_sample', { do_sample: 1 }],
  ])('with a bad %s is refused by its name', (field, json) => {
    expect(() => samplingFromGenerationConfig(json, 'm')).toThrow(
      expect.objectContaining({ name: 'FormatError', field }),
    )
  })
})

test('GGUF keys go before our own defaults', () => {
  const metadata = new Map([
    ['general.sampling.temp', Math.fround(0.6)],
    ['general.sampling.top_k', 20],
  ])
  const defaults = samplingFromGguf({ metadata, name: 'm' })
  expect(defaults).toMatchObject({ temperature: 0.6, topK: 20, topP: 0.9 })
})
