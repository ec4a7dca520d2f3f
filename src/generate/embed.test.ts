/** Embedding on a mock engine, whose vectors are a function of all tokens so far. */
import { describe, expect, test } from 'vitest'
import { MockEngine } from '../../test/support/mock-engine.ts'
import { mockModel } from '../../test/support/mock-model.ts'
import { ContextOverflowError, UsageError } from '../errors.ts'

const TEXTS = ['a cat', 'a much longer text than the others', 'b', 'a cat', 'the sea was calm']

describe('embed', () => {
  test('gives each text a vector of length one, in the order of the texts', async () => {
    const vectors = await mockModel(new MockEngine()).embed(TEXTS)
    expect(vectors).toHaveLength(TEXTS.length)
    for (const vector of vectors) {
      expect(vector.length).toBe(16)
      expect(vector.reduce((sum, v) => sum + v * v, 0)).toBeCloseTo(1, 5)
    }
    expect(vectors[3]).toEqual(vectors[0])
    expect(vectors[2]).not.toEqual(vectors[0])
  })

  test('gives a text alone what it gives it among others, whatever a pass holds', async () => {
    const together = await mockModel(new MockEngine({ maxRows: 64 })).embed(TEXTS)
    for (const maxRows of [1, 7]) {
      const model = mockModel(new MockEngine({ maxRows }))
      expect(await model.embed(TEXTS)).toEqual(together)
      expect(await model.embed([TEXTS[1]])).toEqual([together[1]])
    }
  })

  test('lets texts share passes', async () => {
    const engine = new MockEngine({ maxRows: 64 })
    const model = mockModel(engine)
    await model.embed(['ac', 'dc', 'cc'])
    expect(engine.passes).toEqual([{ rows: 9, slots: [0, 1, 2] }])
    await model.dispose()
    expect(engine.cache.stats.sequences).toBe(0)
  })

  test('cuts vectors to the first dimensions and makes them of length one again', async () => {
    const model = mockModel(new MockEngine())
    const [whole] = await model.embed(['a cat'])
    const [cut] = await model.embed(['a cat'], { dimensions: 4 })
    const length = Math.hypot(...whole.subarray(0, 4))
    expect(cut.length).toBe(4)
    for (const [i, v] of cut.entries()) expect(v).toBeCloseTo(whole[i] / length, 5)
  })

  test.each([0, 17, 1.5])('refuses %d dimensions', async (dimensions) => {
    await expect(mockModel(new MockEngine()).embed(['a'], { dimensions })).rejects.toThrow(
      UsageError,
    )
  })

  test('takes a text that fills the context and refuses a longer one by its number', async () => {
    const model = mockModel(new MockEngine({ contextLength: 8 }))
    // Seven bytes and the begin token.
    expect(await model.embed(['c'.repeat(7)])).toHaveLength(1)
    const error = await model.embed(['c', 'c'.repeat(8)]).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ContextOverflowError)
    expect(error).toMatchObject({ needed: 9, available: 8 })
    expect(String(error)).toContain('text 2')
  })

  test('ends with the reason of its signal and holds nothing', async () => {
    const engine = new MockEngine({ maxRows: 1 })
    const controller = new AbortController()
    engine.beforePass = (pass) => {
      if (pass === 2) controller.abort(new Error('enough'))
    }
    const { signal } = controller
    const model = mockModel(engine)
    await expect(model.embed(TEXTS, { signal })).rejects.toThrow('enough')
    expect(engine.passes).toHaveLength(3)
    expect(model.stats()).toMatchObject({ waiting: 0, running: 0 })
    await model.dispose()
    expect(engine.cache.stats.sequences).toBe(0)
  })

  test('gives no vectors for no texts', async () => {
    expect(await mockModel(new MockEngine()).embed([])).toEqual([])
  })
})
