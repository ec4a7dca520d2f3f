/** Guessing on a real decoder: several rows of one sequence, and a cache whose end is rewritten. */
import { describe, expect, test } from 'vitest'
import { loadModel } from '../src/index.ts'
import { tinyModel } from './support/fixtures.ts'

/** Eight tokens, three times over, as the numbers that a model without a vocabulary reads. */
const PROMPT = Array.from({ length: 24 }, (_, i) => 40 + 3 * (i % 8)).join(' ')

describe('a decoder', () => {
  test.each([
    { temperature: 0 },
    { temperature: 0, repetitionPenalty: 1.2 },
    { temperature: 1e-3, topK: 4 },
  ])('gives the same tokens with guesses as without, %j', async (sampling) => {
    await using model = await loadModel(tinyModel('bitnet-packed'))
    const options = { ...sampling, seed: 2, maxTokens: 48 }
    const expected = await model.generate(PROMPT, options).result
    const guessed = await model.generate(PROMPT, { ...options, speculate: true }).result
    expect(guessed.tokenIds).toEqual(expected.tokenIds)
    expect(guessed.finishReason).toBe(expected.finishReason)
    expect(guessed.speculation?.proposed).toBeGreaterThan(0)
  })

  test.each(['f32', 'int8', 'int4'] as const)('does so with a cache of %s', async (kv) => {
    await using model = await loadModel(tinyModel('bitnet-packed'), { kv })
    const options = { temperature: 0, maxTokens: 40 }
    const expected = await model.generate(PROMPT, options).result
    const guessed = await model.generate(PROMPT, { ...options, speculate: true }).result
    expect(guessed.tokenIds).toEqual(expected.tokenIds)
    expect(guessed.speculation?.proposed).toBeGreaterThan(0)
  })

  test('gives the same greedy tokens with a draft model that often is wrong', async () => {
    await using model = await loadModel(tinyModel('bitnet-bf16'))
    await using draft = await loadModel(tinyModel('bitnet-packed'))
    const options = { temperature: 0, maxTokens: 24 }
    const expected = await model.generate('5 6 7', options).result
    const result = await model.generate('5 6 7', { ...options, draft }).result
    expect(result.tokenIds).toEqual(expected.tokenIds)
    expect(result.speculation?.proposed).toBeGreaterThan(0)
  })
})
