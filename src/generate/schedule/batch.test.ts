// Batches: the same results as alone, shared passes, slots that are filled again.
import { describe, expect, test } from 'vitest'
import { answers, MockEngine } from '../../../test/support/mock-engine.ts'
import { mockModel } from '../../../test/support/mock-model.ts'
import { ContextOverflowError, UsageError } from '../../errors.ts'

const modelOf = (engine: MockEngine) =>
  mockModel(engine, { defaults: { temperature: 0.8, topP: 0.95, repetitionPenalty: 1.1 } })

const prompts = ['a', 'some longer prompt', 'b', 'xyz', 'the longest prompt of all these', 'q', 'r']

describe('generateBatch', () => {
  test.each([1, 2, 3, 8])(
    'gives each prompt what it gets alone, %i at a time',
    async (parallel) => {
      // Answers of different lengths: the hash of the tokens decides where an "e" comes.
      const options = { seed: 100, maxTokens: 25, stop: ['e'] }
      const engine = new MockEngine({ maxRows: 10 })
      const batch = await modelOf(engine).generateBatch(prompts, { ...options, parallel })
      expect(batch).toHaveLength(prompts.length)
      for (const [i, prompt] of prompts.entries()) {
        const alone = modelOf(new MockEngine())
        const single = await alone.generate(prompt, { ...options, seed: 100 + i }).result
        const { text, tokenIds, promptTokenIds, finishReason, seed } = single
        expect(batch[i]).toMatchObject({
          text,
          tokenIds,
          promptTokenIds,
          finishReason,
          seed,
        })
      }
      expect(new Set(batch.map((result) => result.tokenIds.length)).size).toBeGreaterThan(2)
      const slots = Math.min(parallel, prompts.length)
      const most = Math.max(...engine.passes.map((pass) => pass.slots.length))
      expect(most).toBeLessThanOrEqual(slots)
      expect(most).toBeGreaterThan(slots / 2)
    },
  )

  test('takes far fewer passes than the prompts alone', async () => {
    const engine = new MockEngine({ maxRows: 64 })
    await modelOf(engine).generateBatch(['a', 'b', 'c', 'd'], { maxTokens: 10 })
    expect(engine.passes.map((pass) => pass.rows)).toEqual([8, ...Array(9).fill(4)])
  })

  test('gives the slot of one that ended to the next in the queue', async () => {
    const chats = ['1', '2', '3'].map((content) => [{ role: 'user' as const, content }])
    const script = (tokens: readonly number[]) =>
      answers(tokens.includes(49) ? 'a rather long answer' : 'no')(tokens)
    const engine = new MockEngine({ script })
    const results = await modelOf(engine).generateBatch(chats, { parallel: 2 })
    expect(results.map((result) => result.text)).toEqual(['a rather long answer', 'no', 'no'])
    expect(engine.passes).toHaveLength(21) // the long one alone takes as many
  })

  test('feeds prompts beside sequences that already answer', async () => {
    const engine = new MockEngine({ maxRows: 8 })
    await modelOf(engine).generateBatch(['a', 'x'.repeat(30)], { maxTokens: 10 })
    const shared = engine.passes.filter((pass) => pass.rows === 8)
    expect(shared.length).toBeGreaterThan(3)
    expect(shared.every((pass) => pass.slots.length === 2)).toBe(true)
  })

  test('returns nothing for no prompts', async () => {
    expect(await modelOf(new MockEngine()).generateBatch([])).toEqual([])
  })

  test('names the prompt that does not fit, before any work', async () => {
    const engine = new MockEngine({ contextLength: 16 })
    const refused = modelOf(engine).generateBatch(['a', 'x'.repeat(16)])
    await expect(refused).rejects.toThrow(ContextOverflowError)
    await expect(refused).rejects.toThrow('Expected prompts[1] and an answer to fit')
    expect(engine.cache.stats.opened).toBe(0)
  })

  test('refuses a number of slots below one', async () => {
    const refused = modelOf(new MockEngine()).generateBatch(['a'], { parallel: 0 })
    await expect(refused).rejects.toThrow(UsageError)
    await expect(refused).rejects.toThrow('Expected parallel to be an integer >= 1, got 0.')
  })

  test('resolves with what there is when it is cancelled', async () => {
    const engine = new MockEngine()
    const controller = new AbortController()
    engine.beforePass = (pass) => (pass === 5 ? controller.abort() : undefined)
    const { signal } = controller
    const model = modelOf(engine)
    const results = await model.generateBatch(['a', 'b', 'c'], { parallel: 2, signal })
    expect(results.map((result) => result.finishReason)).toEqual(Array(3).fill('cancelled'))
    expect(results.map((result) => result.tokenIds.length)).toEqual([6, 6, 0])
    expect(model.stats()).toMatchObject({ waiting: 0, running: 0 })
  })

  test('fails as a whole when its passes fail, and holds nothing', async () => {
    const engine = new MockEngine()
    engine.beforePass = (pass) => {
      if (pass >= 3) throw new Error('broken')
    }
    const model = modelOf(engine)
    await expect(model.generateBatch(['a', 'b'])).rejects.toThrow('broken')
    expect(model.stats()).toMatchObject({ waiting: 0, running: 0 })
    await model.dispose()
    expect(engine.cache.stats.sequences).toBe(0)
  })
})
