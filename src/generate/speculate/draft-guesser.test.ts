// A draft model from options to result, on mock engines: exact, unbiased, and tidy with its cache.

import { describe, expect, test } from 'vitest'
import { answers, BOS, MockEngine } from '../../../test/support/mock-engine.ts'
import { LeaningEngine, mockModel } from '../../../test/support/mock-model.ts'
import { sequencesOf } from '../../../test/support/sequences.ts'
import { UsageError } from '../../errors.ts'
import type { DraftModel, GenerateOptions } from '../options.ts'

describe('a draft model', () => {
  test.each<[string, MockEngine]>([
    ['agrees', new MockEngine()],
    ['agrees sometimes', new LeaningEngine()],
    ['never agrees', new MockEngine({ script: () => 0 })],
    ['has few rows and a short context', new MockEngine({ maxRows: 3, contextLength: 32 })],
  ])('that %s changes no token, greedy or drawn', async (_, engine) => {
    const draft = mockModel(engine)
    const target = new MockEngine()
    for (const options of [
      {},
      { frequencyPenalty: 1.5 },
      { stop: ['a', 'e'] },
      { maxTokens: 3 },
      { temperature: 0.9, topK: 12, seed: 3 },
      { temperature: 1.2, topP: 0.8, repetitionPenalty: 1.2, seed: 4, logprobs: 2 },
    ]) {
      const request = { temperature: 0, maxTokens: 40, ...options }
      const expected = await mockModel(new MockEngine()).generate('Once', request).result
      const result = await mockModel(target).generate('Once', { ...request, draft }).result
      expect(result.tokenIds).toEqual(expected.tokenIds)
      expect(result.text).toBe(expected.text)
      expect(result.finishReason).toBe(expected.finishReason)
      expect(result.logprobs).toEqual(expected.logprobs)
    }
    expect(draft.stats()).toMatchObject({ waiting: 0, running: 0 })
  })

  test('that is always right saves passes; one that is never right is soon left in peace', async () => {
    const right = new MockEngine()
    const wrong = new MockEngine({ script: () => 0 })
    const options = { temperature: 0, maxTokens: 60 }
    const model = mockModel(new MockEngine())
    const helped = await model.generate('x', { ...options, draft: mockModel(right) }).result
    expect(helped.speculation?.acceptanceRate).toBe(1)
    expect(helped.speculation?.passes).toBeLessThan(15)
    const hindered = await model.generate('x', { ...options, draft: mockModel(wrong) }).result
    expect(hindered.speculation).toMatchObject({ accepted: 0, passes: 60 })
    expect(hindered.speculation?.proposed).toBeLessThan(10)
  })

  test('that is as large as the model is not asked, but for a trial now and then', async () => {
    const draft = mockModel(new MockEngine(), { weightBytes: 1000 })
    const model = mockModel(new MockEngine(), { weightBytes: 1000 })
    const { speculation } = await model.generate('x', { maxTokens: 60, draft }).result
    expect(speculation?.proposed).toBeLessThan(3)
  })

  test('may be the model itself, and leaves other generations their turns', async () => {
    const model = mockModel(new MockEngine())
    const options = { temperature: 0, maxTokens: 20 }
    const alone = await model.generate('y', options).result
    const [a, b] = await Promise.all([
      model.generate('y', { ...options, draft: model }).result,
      model.generate('y', options).result,
    ])
    expect(a.text).toBe(alone.text)
    expect(b.text).toBe(alone.text)
    expect(a.speculation?.accepted).toBeGreaterThan(10)
  })

  test('repeats a text for its seed', async () => {
    const draft = mockModel(new LeaningEngine())
    const model = mockModel(new MockEngine())
    const options = { maxTokens: 40, draft, topK: 8 }
    const first = await model.generate('x', { ...options, seed: 5 }).result
    const again = await model.generate('x', { ...options, seed: 5 }).result
    expect(again.text).toBe(first.text)
    expect(again.speculation).toEqual(first.speculation)
    expect(first.speculation?.accepted).toBeGreaterThan(0)
    const other = await model.generate('x', { ...options, seed: 6 }).result
    expect(other.text).not.toBe(first.text)
  })

  test('goes on from turn to turn of a chat where it was, and gives its room back', async () => {
    const script = answers('one two three', 'four five six')
    const engine = new MockEngine({ script })
    const session = mockModel(new MockEngine({ script })).chat()
    const draft = mockModel(engine)
    const options = { draft }
    expect((await session.send('count', options).result).text).toBe('one two three')
    const before = engine.passes.length
    expect((await session.send('go on', options).result).text).toBe('four five six')
    // EOT, the user's turn, and the beginning of the answer; at most one token of the answer before.
    expect(engine.passes[before].rows).toBeLessThanOrEqual(10)
    expect(draft.stats()).toMatchObject({ waiting: 0, running: 0 })
  })

  test('that is disposed of in the middle stops guessing, and the text goes on', async () => {
    const engine = new MockEngine()
    const draft = mockModel(engine)
    engine.beforePass = (pass) => {
      if (pass === 6) void draft.dispose()
    }
    const options = { temperature: 0, maxTokens: 30 }
    const expected = await mockModel(new MockEngine()).generate('x', options).result
    const result = await mockModel(new MockEngine()).generate('x', { ...options, draft }).result
    expect(result.text).toBe(expected.text)
    expect(engine.passes).toHaveLength(7)
    expect(engine.cache.stats.sequences).toBe(0)
  })

  test('does not keep a cancelled generation waiting', async () => {
    const engine = new MockEngine()
    const controller = new AbortController()
    engine.beforePass = (pass) => (pass === 4 ? controller.abort() : undefined)
    const draft = mockModel(engine)
    const options = { draft, signal: controller.signal, maxTokens: 100 }
    const result = await mockModel(new MockEngine()).generate('x', options).result
    expect(result.finishReason).toBe('cancelled')
    expect(engine.passes).toHaveLength(5)
    expect(draft.stats()).toMatchObject({ waiting: 0, running: 0 })
  })

  test('is not used if speculation is off', async () => {
    const draft = mockModel(new MockEngine())
    const options = { draft, speculate: false, maxTokens: 5 }
    const result = await mockModel(new MockEngine()).generate('x', options).result
    expect(result.speculation).toBeUndefined()
  })
})

describe('refusing a draft model', () => {
  const model = mockModel(new MockEngine())

  async function refusal(draft: unknown): Promise<unknown> {
    const options = { draft } as GenerateOptions
    return model.generate('x', options).result.catch((error: unknown) => error)
  }

  test('that is none', async () => {
    expect(await refusal('small')).toBeInstanceOf(UsageError)
    expect(await refusal({})).toMatchObject({ message: expect.stringContaining('loadModel') })
  })

  test('with another vocabulary', async () => {
    const draft = mockModel(new MockEngine())
    const encode = draft.tokenizer.encode.bind(draft.tokenizer)
    draft.tokenizer.encode = (text) => encode(text.toUpperCase())
    const error = await refusal(draft)
    expect(error).toBeInstanceOf(UsageError)
    expect(error).toMatchObject({ message: expect.stringContaining('the same vocabulary') })
  })

  test('that was disposed of', async () => {
    const draft = mockModel(new MockEngine())
    await draft.dispose()
    expect(await refusal(draft)).toMatchObject({ message: expect.stringContaining('disposed') })
  })

  test('for a batch', async () => {
    const batch = model.generateBatch(['x'], { draft: mockModel(new MockEngine()) })
    await expect(batch).rejects.toThrow('Expected no draft model for a batch')
  })
})

describe('text drawn with a draft model', () => {
  const settings = { temperature: 0.8, topK: 3, frequencyPenalty: 0.9 }

  /** Probabilities of the next token from the mock's logits, by the documented steps. */
  async function nextProbabilities(prompt: readonly number[], answer: readonly number[]) {
    const engine = new MockEngine()
    const tokens = [...prompt, ...answer]
    const rows = tokens.map((_, i) => i)
    const logits = await engine.forward(
      sequencesOf(engine, { slots: 1, capacity: 16 }).place({
        tokens,
        slots: rows.map(() => 0),
        positions: rows,
        logitRows: [tokens.length - 1],
      }),
    )
    for (const id of answer) logits[id] -= settings.frequencyPenalty
    const ids = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b).slice(0, 3)
    const weights = ids.map((id) => Math.exp(logits[id] / settings.temperature))
    const total = weights.reduce((a, b) => a + b)
    return ids.map((id, i) => ({ id, probability: weights[i] / total }))
  }

  test.each<[string, DraftModel]>([
    ['that leans another way', mockModel(new LeaningEngine())],
    ['that is right', mockModel(new MockEngine())],
  ])('%s has the distribution of the text without', async (_, draft) => {
    const prompt = [BOS, 120]
    const expected = new Map<string, number>()
    for (const a of await nextProbabilities(prompt, []))
      for (const b of await nextProbabilities(prompt, [a.id]))
        for (const c of await nextProbabilities(prompt, [a.id, b.id]))
          expected.set([a.id, b.id, c.id].join(), a.probability * b.probability * c.probability)

    const model = mockModel(new MockEngine())
    const counts = new Map<string, number>()
    const draws = 3000
    let accepted = 0
    for (let seed = 0; seed < draws; seed++) {
      const options = { ...settings, seed, maxTokens: 3, draft }
      const { tokenIds, speculation } = await model.generate('x', options).result
      counts.set(tokenIds.join(), (counts.get(tokenIds.join()) ?? 0) + 1)
      accepted += speculation?.accepted ?? 0
    }
    expect(accepted).toBeGreaterThan(draws / 4)
    expect(expected.size).toBe(27)
    expect([...counts.keys()].filter((key) => !expected.has(key))).toEqual([])
    let chiSquare = 0
    for (const [key, probability] of expected) {
      chiSquare += ((counts.get(key) ?? 0) - draws * probability) ** 2 / (draws * probability)
    }
    // 26 degrees of freedom: a right draw exceeds 54.1 once in a thousand times.
    expect(chiSquare).toBeLessThan(54.1)
  })
})
