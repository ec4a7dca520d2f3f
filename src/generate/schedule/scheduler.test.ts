// Who runs when: priority, deadlines, fairness between clients, readers that are slow, and what is counted.
import { describe, expect, test } from 'vitest'
import { EOT, MockEngine } from '../../../test/support/mock-engine.ts'
import { mockModel } from '../../../test/support/mock-model.ts'
import { UsageError } from '../../errors.ts'
import type { GenerateOptions, TokenEvent } from '../options.ts'

/** Names of requests in the order in which they ended. */
async function orderOf(
  engine: MockEngine,
  requests: Readonly<Record<string, readonly [prompt: string, options: GenerateOptions]>>,
): Promise<string[]> {
  const model = mockModel(engine)
  const order: string[] = []
  const runs = Object.entries(requests).map(async ([name, [prompt, options]]) => {
    await model.generate(prompt, { maxTokens: 4, ...options }).result
    order.push(name)
  })
  await Promise.all(runs)
  return order
}

describe('what waits', () => {
  test('begins by priority, and then by how soon it has to be done', async () => {
    const order = await orderOf(new MockEngine({ maxRows: 1 }), {
      low: ['a', { priority: -1 }],
      late: ['b', { deadline: 60_000 }],
      soon: ['c', { deadline: 30_000 }],
      high: ['d', { priority: 2 }],
    })
    expect(order).toEqual(['high', 'soon', 'late', 'low'])
  })

  test('begins in turn between clients, however many one of them asks for', async () => {
    const engine = new MockEngine({ maxRows: 1 })
    const order = await orderOf(engine, {
      a1: ['a', { client: 'a' }],
      a2: ['b', { client: 'a' }],
      a3: ['c', { client: 'a' }],
      b1: ['d', { client: 'b' }],
    })
    expect(order.indexOf('b1')).toBe(1)
  })

  test('leaves a prompt that comes beside a long one its turn', async () => {
    const engine = new MockEngine({ maxRows: 8 })
    const model = mockModel(engine)
    const long = model.generate('x'.repeat(300), { maxTokens: 2 })
    await model.generate('short', { maxTokens: 2 }).result
    expect(engine.passes.length).toBeLessThan(10)
    expect((await long.result).tokenIds).toHaveLength(2)
  })
})

describe('a prompt beside answers', () => {
  test('comes in pieces that these can wait for', async () => {
    const engine = new MockEngine({ maxRows: 128, contextLength: 512 })
    const model = mockModel(engine)
    let prompt: Promise<unknown> | undefined
    engine.beforePass = (pass) => {
      if (pass === 3) prompt = model.generate('y'.repeat(200), { maxTokens: 1 }).result
    }
    await model.generate('x', { maxTokens: 40 }).result
    await prompt
    expect(Math.max(...engine.passes.map(({ rows }) => rows))).toBe(17)
    expect(engine.passes.some(({ rows }) => rows === 17)).toBe(true)
  })
})

describe('a deadline', () => {
  test('ends an answer as far as it came', async () => {
    const engine = new MockEngine()
    engine.beforePass = () => new Promise((resolve) => setTimeout(resolve, 1))
    const { finishReason, tokenIds } = await mockModel(engine).generate('x', {
      maxTokens: 100_000,
      deadline: 30,
    }).result
    expect(finishReason).toBe('cancelled')
    expect(tokenIds.length).toBeLessThan(500)
  })
})

describe('reading', () => {
  test('by tokens gives each with its text and, if asked for, its probabilities', async () => {
    const model = mockModel(new MockEngine())
    const generation = model.generate('x', { maxTokens: 6, seed: 1, logprobs: 2 })
    const events: TokenEvent[] = []
    for await (const event of generation.tokens()) events.push(event)
    const result = await generation.result
    expect(events.map(({ id }) => id)).toEqual(result.tokenIds)
    expect(events.map(({ text }) => text).join('')).toBe(result.text)
    expect(events.map(({ logprobs }) => logprobs)).toEqual(result.logprobs)
  })

  test('gives text that was held back at the end, without a token', async () => {
    const script = (tokens: readonly number[]) => [120, 97, 98][tokens.length - 1] ?? 257
    const model = mockModel(new MockEngine({ script }))
    const events: TokenEvent[] = []
    for await (const event of model.generate('', { stop: ['abc'] }).tokens()) events.push(event)
    expect(events).toEqual([
      { id: 120, text: 'x' },
      { id: 97, text: '' },
      { id: 98, text: '' },
      { text: 'ab' },
    ])
  })

  test('slowly lets the answer wait, and others go on', async () => {
    const engine = new MockEngine({ contextLength: 512 })
    const model = mockModel(engine)
    const slow = model.generate('x', { maxTokens: 400, temperature: 0 })
    const reader = slow[Symbol.asyncIterator]()
    await reader.next()
    await model.generate('y', { maxTokens: 200 }).result
    expect(model.stats()).toMatchObject({ running: 1, paused: 1 })
    const { passes } = engine
    expect(passes.length).toBeLessThan(300)
    let text = ''
    for (let next = await reader.next(); !next.done; next = await reader.next()) text += next.value
    expect(text).toHaveLength(399)
    expect((await slow.result).finishReason).toBe('length')
  })

  test('no further, while waiting for the result, holds nothing up', async () => {
    const model = mockModel(new MockEngine())
    const generation = model.generate('x', { maxTokens: 300 })
    await generation[Symbol.asyncIterator]().next()
    expect((await generation.result).tokenIds).toHaveLength(300)
  })
})

describe('options of a generation', () => {
  const model = mockModel(new MockEngine())

  test('end it at tokens that are named', async () => {
    const whole = await model.generate('x', { maxTokens: 20, seed: 4 }).result
    const [last] = whole.tokenIds.slice(5)
    const cut = await model.generate('x', { maxTokens: 20, seed: 4, stopTokens: [last] }).result
    expect(cut.finishReason).toBe('stop')
    expect(cut.tokenIds).toEqual(whole.tokenIds.slice(0, whole.tokenIds.indexOf(last)))
  })

  test('make tokens likelier, or forbid them, and leave their probabilities as they are', async () => {
    const greedy = { maxTokens: 3, temperature: 0, logprobs: 1 }
    const plain = await model.generate('x', greedy).result
    const pushed = await model.generate('x', { ...greedy, logitBias: { 33: 100 } }).result
    expect(pushed.text).toBe('!!!')
    expect(pushed.logprobs?.[0].top).toEqual(plain.logprobs?.[0].top)
    const [first] = plain.tokenIds
    const forbidden = { ...greedy, logitBias: { [first]: Number.NEGATIVE_INFINITY } }
    expect((await model.generate('x', forbidden).result).tokenIds[0]).not.toBe(first)
  })

  test.each<[GenerateOptions, string]>([
    [{ stopTokens: [262] }, 'Expected token ids from 0 to 261, got 262.'],
    [{ logitBias: { 262: 1 } }, 'Expected token ids from 0 to 261, got 262.'],
    [{ logitBias: { 5: Number.NaN } }, 'Expected logitBias to be an object of token ids'],
    [{ logitBias: { x: 1 } as never }, 'Expected logitBias to be an object of token ids'],
    [{ deadline: 0 }, 'Expected deadline to be a finite number > 0, got 0.'],
    [{ priority: 0.5 }, 'Expected priority to be an integer, got 0.5.'],
    [{ client: '' }, 'Expected client to be a string that is not empty'],
  ])('refuse %j before any work', async (options, message) => {
    const engine = new MockEngine()
    const refused = mockModel(engine).generate('x', options).result
    await expect(refused).rejects.toThrow(UsageError)
    await expect(refused).rejects.toThrow(message)
    expect(engine.passes).toEqual([])
  })

  test('ask for several answers, each what it is alone with its seed', async () => {
    const results = await model.generateBatch(['x', 'y'], { n: 3, seed: 10, maxTokens: 8 })
    expect(results.map(({ seed }) => seed)).toEqual([10, 11, 12, 13, 14, 15])
    for (const [i, { text, seed }] of results.entries()) {
      const alone = await model.generate(i < 3 ? 'x' : 'y', { seed, maxTokens: 8 }).result
      expect(text).toBe(alone.text)
    }
    await expect(model.generateBatch(['x'], { n: 65 })).rejects.toThrow('an integer from 1 to 64')
  })
})

test('statistics tell what ran and how passes were filled', async () => {
  const engine = new MockEngine()
  const model = mockModel(engine)
  await Promise.all(['a', 'b', 'c'].map((text) => model.generate(text, { maxTokens: 5 }).result))
  const rows = engine.passes.reduce((sum, pass) => sum + pass.rows, 0)
  expect(model.stats()).toMatchObject({ waiting: 0, running: 0, begun: 3, preempted: 0, rows })
  expect(model.stats().passes).toBe(engine.passes.length)
  expect(model.stats().rowsPerPass).toBeGreaterThan(2)
})

describe('an engine that draws several tokens at once', () => {
  const options = { maxTokens: 40, seed: 3 }

  test('gives the same answers, together and alone, and stops where they end', async () => {
    const script = (tokens: readonly number[]) => (tokens.length === 30 ? EOT : undefined)
    const plain = mockModel(new MockEngine({ script }))
    const several = mockModel(new MockEngine({ script, maxSteps: 16 }))
    for (const prompt of ['a', 'some words']) {
      const [one, other] = await Promise.all(
        [plain, several].map((model) => model.generate(prompt, options).result),
      )
      expect(other.tokenIds).toEqual(one.tokenIds)
      expect(other.finishReason).toBe('stop')
      expect(other.usage).toEqual(one.usage)
    }
    const batch = await several.generateBatch(['a', 'some words', 'b'], options)
    expect(batch.map(({ tokenIds }) => tokenIds)).toEqual(
      (await plain.generateBatch(['a', 'some words', 'b'], options)).map((own) => own.tokenIds),
    )
    // What was drawn behind the end is not taken for computed.
    const again = await several.generate('a', { maxTokens: 3, seed: 3 }).result
    expect(again.tokenIds).toEqual((await plain.generate('a', options).result).tokenIds.slice(0, 3))
  })

  test('is asked for several, and for one while somebody waits for a beginning', async () => {
    const engine = new MockEngine({ maxSteps: 8, maxRows: 1 })
    const steps: number[] = []
    const step = engine.step.bind(engine)
    engine.step = (batch, wants) => {
      steps.push(wants.draws.steps ?? 1)
      return step(batch, wants)
    }
    const model = mockModel(engine)
    await model.generate('a', options).result
    expect(Math.max(...steps)).toBe(8)
    steps.length = 0
    const first = model.generate('a', options)
    const second = model.generate('b', { ...options, maxTokens: 1 })
    await first.result
    await second.result
    expect(Math.max(...steps)).toBe(1)
  })

  test('looks at each token where that decides about the next', async () => {
    const engine = new MockEngine({ maxSteps: 8 })
    const model = mockModel(engine)
    const { logprobs } = await model.generate('a', { ...options, logprobs: 2 }).result
    expect(logprobs).toHaveLength(40)
  })
})

test('a sequence that waits for guesses gives its memory to the job that computes them', async () => {
  // Room for one of them: what the sequence holds, the model needs to guess for it.
  const engine = new MockEngine({ blocks: 3 })
  const model = mockModel(engine)
  const options = { maxTokens: 300, seed: 1 }
  const { text } = await model.generate('x'.repeat(100), { ...options, draft: model }).result
  const alone = await mockModel(new MockEngine()).generate('x'.repeat(100), options).result
  expect(text).toBe(alone.text)
  expect(model.stats().preempted).toBeGreaterThan(0)
})

describe('what is drawn', () => {
  /** Passes and texts of so many calls in the order of their beginning and of their being told, and what was told. */
  async function toldBy(calls: number) {
    const engine = new MockEngine({ maxRows: 64 })
    const log: ('pass' | 'text')[] = []
    engine.beforePass = () => void log.push('pass')
    const model = mockModel(engine)
    const texts = await Promise.all(
      Array.from({ length: calls }, async (_, i) => {
        const options = { maxTokens: 3 + (i % 4), seed: i, temperature: 0.8 }
        const generation = model.generate(`call ${i}`, options)
        let text = ''
        for await (const piece of generation) {
          log.push('text')
          text += piece
        }
        return { text, whole: (await generation.result).text }
      }),
    )
    return { log, texts }
  }

  test('is told before the next pass to few, while it runs to many, and whole to all', async () => {
    const [few, many] = [await toldBy(2), await toldBy(12)]
    const passesBefore = (log: readonly string[]) => log.slice(0, log.indexOf('text')).length
    expect(passesBefore(few.log)).toBe(1)
    expect(passesBefore(many.log)).toBe(2)
    for (const { text, whole } of [...few.texts, ...many.texts]) expect(text).toBe(whole)
    expect(many.texts[0].whole).toBe(few.texts[0].whole)
    expect(many.texts[1].whole).toBe(few.texts[1].whole)
  })
})
