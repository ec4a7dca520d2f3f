/** Each parameter of a request: what it becomes of a generation, and what it does to an answer. */
import { describe, expect, test } from 'vitest'
import { MockEngine } from '../../test/support/mock-engine.ts'
import { hello, recording, serve } from '../../test/support/mock-server.ts'

async function optionsOf(path: string, body: object) {
  const { model, asked } = recording()
  const response = await serve({ models: [model] }).ask(path, body)
  expect(response.status).toBe(200)
  return asked
}

const CHAT = '/v1/chat/completions'
const SAMPLING: readonly (readonly [string, unknown, object])[] = [
  ['temperature', 0.25, { temperature: 0.25 }],
  ['top_p', 0.5, { topP: 0.5 }],
  ['top_k', 7, { topK: 7 }],
  ['min_p', 0.1, { minP: 0.1 }],
  ['frequency_penalty', -1.5, { frequencyPenalty: -1.5 }],
  ['presence_penalty', 2, { presencePenalty: 2 }],
  ['repetition_penalty', 1.3, { repetitionPenalty: 1.3 }],
  ['seed', 42, { seed: 42 }],
  ['seed', -1, { seed: 2 ** 32 - 1 }],
  ['stop', 'x', { stop: ['x'] }],
  ['stop', ['x', 'y'], { stop: ['x', 'y'] }],
  ['logit_bias', { 98: -3 }, { logitBias: { 98: -3 } }],
  ['max_tokens', 2, { maxTokens: 2 }],
]

describe.each([
  ['a chat', CHAT, { ...hello, max_tokens: 3 }],
  ['a text', '/v1/completions', { prompt: 'a', max_tokens: 3 }],
])('%s', (_, path, base) => {
  test.each(SAMPLING)('%s is %j of a generation', async (name, value, options) => {
    expect(await optionsOf(path, { ...base, [name]: value })).toMatchObject([options])
  })

  test.each(SAMPLING)('%s may be null, which says nothing', async (name) => {
    const [options] = await optionsOf(path, { ...base, [name]: null })
    const [without] = await optionsOf(path, base)
    const { signal: _, maxTokens: __, ...rest } = options
    expect(without).toMatchObject(rest)
  })

  test('several answers have a seed each', async () => {
    const asked = await optionsOf(path, { ...base, n: 3, seed: 5 })
    expect(asked.map(({ seed }) => seed)).toEqual([5, 6, 7])
  })

  test.each([
    ['temperature', 2.1],
    ['top_p', 0],
    ['top_k', -1],
    ['min_p', 1],
    ['frequency_penalty', 2.5],
    ['presence_penalty', -3],
    ['repetition_penalty', 0],
    ['seed', 0.5],
    ['stop', Array(17).fill('x')],
    ['stop', 'x'.repeat(1001)],
    ['n', 17],
    ['max_tokens', 0],
    ['stream', 'yes'],
  ])('%s of %j is refused by its name', async (name, value) => {
    const response = await serve().ask(path, { ...base, [name]: value })
    expect(response.status).toBe(400)
    expect((await response.json()).error.param).toBe(name)
  })
})

test('max_completion_tokens goes before max_tokens', async () => {
  const fields = { max_tokens: 9, max_completion_tokens: 4 }
  expect(await optionsOf(CHAT, { ...hello, ...fields })).toMatchObject([{ maxTokens: 4 }])
})

test('logprobs has as many of the likeliest as it says, and top_logprobs stands beside it', async () => {
  const chat = (fields: object) => optionsOf(CHAT, { ...hello, max_tokens: 1, ...fields })
  expect(await chat({ logprobs: true })).toMatchObject([{ logprobs: 0 }])
  expect(await chat({ logprobs: true, top_logprobs: 4 })).toMatchObject([{ logprobs: 4 }])
  expect((await chat({ logprobs: false }))[0].logprobs).toBeUndefined()
  const text = await optionsOf('/v1/completions', { prompt: 'a', max_tokens: 1, logprobs: 3 })
  expect(text).toMatchObject([{ logprobs: 3 }])
  const alone = await serve().ask(CHAT, { ...hello, top_logprobs: 2 })
  expect((await alone.json()).error.param).toBe('top_logprobs')
})

test('a text is 16 tokens long unless it is said, as with OpenAI', async () => {
  expect(await optionsOf('/v1/completions', { prompt: 'a' })).toMatchObject([{ maxTokens: 16 }])
})

test.each([
  ['suffix', { suffix: 'end' }],
  ['best_of', { best_of: 3 }],
])('%s, which cannot be had, is refused', async (param, fields) => {
  const response = await serve().ask('/v1/completions', { prompt: 'a', ...fields })
  expect(response.status).toBe(400)
  expect((await response.json()).error.param).toBe(param)
})

/** Every letter is as likely as any other. */
const undecided = () => new MockEngine({ script: () => -1, contextLength: 256 })

test('a seed gives the same answer again, another one another, and a penalty changes it', async () => {
  const textOf = async (fields: object) => {
    const body = { prompt: 'a', max_tokens: 24, temperature: 1, seed: 1, ...fields }
    const { choices } = await (await serve({}, undecided()).ask('/v1/completions', body)).json()
    return choices[0].text
  }
  const first = await textOf({})
  expect(await textOf({})).toBe(first)
  expect(await textOf({ seed: 2 })).not.toBe(first)
  const greedy = await textOf({ temperature: 0 })
  expect(await textOf({ temperature: 0, presence_penalty: 2 })).not.toBe(greedy)
})

test('conversations of more turns than any context has are refused', async () => {
  const messages = Array.from({ length: 10_001 }, () => ({ role: 'user', content: '' }))
  const bodies = {
    [CHAT]: { messages },
    '/v1/responses': { input: messages },
    '/api/chat': { messages },
  }
  for (const [path, body] of Object.entries(bodies)) {
    const response = await serve().ask(path, body)
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringContaining('10000'),
    ])
  }
})

test('many answers of one request print no warning', async () => {
  const warnings: Error[] = []
  const warn = (warning: Error) => warnings.push(warning)
  process.on('warning', warn)
  const prompt = Array<string>(64).fill('a')
  expect((await serve().ask('/v1/completions', { prompt, max_tokens: 2 })).status).toBe(200)
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', warn)
  expect(warnings).toEqual([])
})

test('vectors are as long as asked for', async () => {
  const { ask } = serve()
  const { data } = await (await ask('/v1/embeddings', { input: 'a', dimensions: 2 })).json()
  expect(data[0].embedding).toHaveLength(2)
})
