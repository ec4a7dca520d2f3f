// A context that fills while an answer is written: what goes on is what a shorter text would have given.
import { expect, test } from 'vitest'
import { BOS, MockEngine } from '../../../test/support/mock-engine.ts'
import { mockModel } from '../../../test/support/mock-model.ts'
import { answerBehind, dropOldestHalf } from './context-shift.ts'

const CONTEXT = 64

/** The likeliest token behind some others, computed with nothing else in the cache. */
async function nextOf(tokens: readonly number[]): Promise<number> {
  const engine = new MockEngine({ contextLength: CONTEXT, maxRows: CONTEXT })
  const opened = engine.cache.open([], CONTEXT)
  const logits = await engine.forward({
    tokens,
    slots: tokens.map(() => opened?.slot ?? -1),
    positions: tokens.map((_, i) => i),
    logitRows: [tokens.length - 1],
  })
  return logits.indexOf(Math.max(...logits))
}

/** What a model writes that never saw more than the prompt and the later half of its text. */
async function written(prompt: readonly number[], count: number): Promise<string> {
  let tokens = [...prompt]
  let text = ''
  while (text.length < count) {
    if (tokens.length === CONTEXT) {
      const answer = tokens.slice(prompt.length)
      tokens = [...prompt, ...answer.slice(Math.ceil(answer.length / 2))]
    }
    const next = await nextOf(tokens)
    tokens.push(next)
    text += String.fromCharCode(next)
  }
  return text
}

const prompt = [BOS, 79, 110, 99, 101]

test.each([false, true])(
  'a generation goes on behind its prompt, with guesses: %s',
  async (speculate) => {
    const engine = new MockEngine({ contextLength: CONTEXT, maxRows: 16 })
    const options = { maxTokens: 200, temperature: 0, contextShift: true, speculate }
    const { text, ...result } = await mockModel(engine).generate('Once', options).result
    expect(text).toBe(await written(prompt, 200))
    expect(result).toMatchObject({
      finishReason: 'length',
      usage: { completionTokens: 200, totalTokens: 205 },
    })
    expect(result.droppedTokens).toBeGreaterThan(200 - CONTEXT)
    expect(engine.cache.stats.sequences).toBe(0)
  },
)

test('several answers to a prompt go on beside each other, each as alone', async () => {
  const model = mockModel(new MockEngine({ contextLength: CONTEXT, blocks: 2 }))
  const options = { maxTokens: 150, seed: 5, contextShift: true }
  const batch = await model.generateBatch(['Once', 'Twice'], { ...options, n: 2 })
  for (const [i, { text }] of batch.entries()) {
    const alone = mockModel(new MockEngine({ contextLength: CONTEXT }))
    const single = alone.generate(i < 2 ? 'Once' : 'Twice', { ...options, seed: 5 + i })
    expect((await single.result).text).toBe(text)
  }
})

test('draws other tokens where places come again, and not the same text for ever', async () => {
  const model = mockModel(new MockEngine({ contextLength: CONTEXT }))
  const { text } = await model.generate('x'.repeat(62), {
    maxTokens: 40,
    seed: 1,
    contextShift: true,
  }).result
  expect(new Set(text).size).toBeGreaterThan(8)
})

test('without it the answer ends there', async () => {
  const engine = new MockEngine({ contextLength: CONTEXT })
  const result = await mockModel(engine).generate('Once', { maxTokens: 200, seed: 1 }).result
  expect(result).toMatchObject({ finishReason: 'length', usage: { totalTokens: CONTEXT } })
  expect(result).not.toHaveProperty('droppedTokens')
})

test('what is kept leaves room, whatever is long', () => {
  const tokens = Array.from({ length: 64 }, (_, i) => i)
  expect(dropOldestHalf({ tokens, answerStart: 63 }).tokens).toHaveLength(63)
  expect(dropOldestHalf({ tokens, answerStart: 4 }).tokens).toEqual([
    ...tokens.slice(0, 4),
    ...tokens.slice(34),
  ])
  for (const length of [1, 20, 40, 63]) {
    for (const answerStart of [1, 30, 63]) {
      const next = answerBehind(Array(length).fill(7), { tokens, answerStart }, 64)
      expect(next.answerStart).toBe(length)
      expect(next.tokens.length).toBeLessThan(64)
      expect(
        tokens.slice(next.tokens.length === length ? 64 : length - next.tokens.length),
      ).toEqual(next.tokens.slice(length))
    }
  }
})
