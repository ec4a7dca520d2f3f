/** What a request becomes as a job of the engine: biases, probabilities, whose part it takes, and its ends. */
import { describe, expect, test } from 'vitest'
import { MockEngine } from '../../test/support/mock-engine.ts'
import { mockModel } from '../../test/support/mock-model.ts'
import { ANSWER, eventsOf, hello, recording, serve } from '../../test/support/mock-server.ts'
import type { LanguageModel } from '../generate/language-model.ts'

describe('logit_bias', () => {
  test('is added to the tokens it names', async () => {
    const { ask } = serve({}, new MockEngine({ contextLength: 256 }))
    const body = { ...hello, max_tokens: 3, logit_bias: { 98: 100, '0099': -100 } }
    const { choices } = await (await ask('/v1/chat/completions', body)).json()
    expect(choices[0].message.content).toBe('bbb')
  })

  test.each([
    ['a token that is no number', { word: 1 }, 'logit_bias.word'],
    ['a bias out of range', { 5: 101 }, 'logit_bias.5'],
    ['too many', Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [i, 1])), 'logit_bias'],
  ])('%s is refused', async (_, logit_bias, param) => {
    const response = await serve().ask('/v1/chat/completions', { ...hello, logit_bias })
    expect(response.status).toBe(400)
    expect((await response.json()).error.param).toBe(param)
  })

  test('a token beyond the vocabulary is refused', async () => {
    const response = await serve().ask('/v1/completions', {
      prompt: 'a',
      logit_bias: { 999999999: 1 },
    })
    expect(response.status).toBe(400)
    expect((await response.json()).error.message).toContain('Expected token ids from 0 to 261')
  })
})

describe('probabilities in a stream', () => {
  test('come with the chunk of their token, as the whole answer has them', async () => {
    const { ask } = serve()
    const body = { ...hello, logprobs: true, top_logprobs: 1 }
    const whole = await (await ask('/v1/chat/completions', body)).json()
    const events = await eventsOf(await ask('/v1/chat/completions', { ...body, stream: true }))
    const choices = events.slice(0, -1).map((data) => JSON.parse(data).choices[0])
    const said = choices.filter(({ delta }) => delta.content)
    expect(said).toHaveLength(ANSWER.length)
    for (const { delta, logprobs } of said) expect(logprobs.content[0].token).toBe(delta.content)
    expect(said.flatMap(({ logprobs }) => logprobs.content)).toEqual(
      whole.choices[0].logprobs.content,
    )
    expect(choices.at(-1)).toMatchObject({ logprobs: null, finish_reason: 'stop' })
  })

  test('and with their offsets, where texts are continued', async () => {
    const { ask } = serve()
    const body = { prompt: 'one', max_tokens: 4, logprobs: 1 }
    const whole = await (await ask('/v1/completions', body)).json()
    const events = await eventsOf(await ask('/v1/completions', { ...body, stream: true }))
    const parts = events
      .slice(0, -1)
      .flatMap((data) => JSON.parse(data).choices[0].logprobs?.text_offset ?? [])
    expect(parts).toEqual(whole.choices[0].logprobs.text_offset)
  })
})

test('a key is a client of the engine, and no request goes before what its key may', async () => {
  const { model, asked } = recording()
  const keys = [
    { key: 'the-key-of-anna-1', name: 'anna', priority: 2 },
    { key: 'the-key-of-ben-22', name: 'ben' },
  ]
  const { ask } = serve({ models: [model], keys })
  const say = (key: string, fields: object) =>
    ask(
      '/v1/completions',
      { prompt: 'a', max_tokens: 1, ...fields },
      { headers: { authorization: `Bearer ${key}` } },
    )
  await say('the-key-of-anna-1', {})
  await say('the-key-of-anna-1', { priority: -1 })
  await say('the-key-of-ben-22', { priority: 900 })
  expect(asked.map(({ client, priority }) => [client, priority])).toEqual([
    ['anna', 2],
    ['anna', -1],
    ['ben', 0],
  ])
})

describe('time', () => {
  const endless = () => new MockEngine({ script: () => 97, contextLength: 8192 })

  test.each([
    ['of the server', { seconds: 0.1 }, {}],
    ['that a request gives itself', {}, { deadline: 0.1 }],
  ])('%s cuts an answer, which says so', async (_, limits, fields) => {
    const { ask, server } = serve({ limits }, endless())
    const whole = await (await ask('/v1/chat/completions', { ...hello, ...fields })).json()
    expect(whole.choices[0]).toMatchObject({ finish_reason: 'length' })
    expect(whole.choices[0].message.content.length).toBeGreaterThan(1)
    const body = { ...hello, ...fields, stream: true }
    const events = await eventsOf(await ask('/v1/chat/completions', body))
    expect(JSON.parse(events.at(-2) ?? '').choices[0].finish_reason).toBe('length')
    expect(events.at(-1)).toBe('[DONE]')
    expect(server.busy).toBe(0)
  })

  test('that is up while a request waits is told, and the engine knows of it', async () => {
    const { ask } = serve({ limits: { active: 1 } }, endless())
    const stream = await ask('/v1/chat/completions', { ...hello, stream: true })
    const late = await ask('/v1/chat/completions', { ...hello, deadline: 0.05 })
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, '5'])
    await stream.body?.cancel()
    const { model, asked } = recording()
    await serve({ models: [model] }).ask('/v1/responses', { input: 'a', deadline: 9, priority: -3 })
    expect(asked[0].deadline).toBeGreaterThan(8000)
    expect(asked[0].deadline).toBeLessThanOrEqual(9000)
    expect(asked[0].priority).toBe(-3)
  })
})

test('who finds no room in the cache waits for it, and who never would is told', async () => {
  // Four blocks of 256 positions: a text that may become 800 long leaves room for no other.
  const engine = new MockEngine({ script: () => 97, contextLength: 2048, blocks: 4 })
  const { ask } = serve({}, engine)
  const long = { prompt: 'a', max_tokens: 800 }
  const stream = await ask('/v1/completions', { ...long, stream: true })
  const second = ask('/v1/completions', long)
  const waiting = async () =>
    /bitnet_sequences\{model="mock",state="waiting"\} (\d+)/.exec(
      await (await ask('/metrics')).text(),
    )?.[1]
  await expect.poll(waiting).toBe('1')
  await stream.body?.cancel()
  const { usage } = await (await second).json()
  expect(usage.completion_tokens).toBe(800)
  const never = await ask('/v1/completions', { prompt: 'a'.repeat(1500), max_tokens: 1 })
  expect((await never.json()).error.code).toBe('context_length_exceeded')
})

test('no answer is longer than the server lets it be', async () => {
  const { ask } = serve({ limits: { maxTokens: 4 } }, new MockEngine({ script: () => 97 }))
  const { usage } = await (await ask('/v1/completions', { prompt: 'a', max_tokens: 99 })).json()
  expect(usage.completion_tokens).toBe(4)
})

test('vectors are of the key that asks, behind answers', async () => {
  const asked: object[] = []
  const load = async (): Promise<LanguageModel> => {
    const model = mockModel(new MockEngine())
    return {
      ...model,
      embed: (texts, options = {}) => {
        asked.push(options)
        return model.embed(texts, options)
      },
    }
  }
  const keys = [{ key: 'the-key-of-anna-1', name: 'anna', priority: 2 }]
  const { ask } = serve({ models: [{ id: 'mock', load }], keys })
  const headers = { authorization: 'Bearer the-key-of-anna-1' }
  for (const path of ['/v1/embeddings', '/api/embed']) await ask(path, { input: 'a' }, { headers })
  const options = { client: 'anna', priority: 1 }
  expect(asked).toMatchObject([options, options])
})

test('who asks too often or too much is told when to ask again', async () => {
  const { ask } = serve({ limits: { keyPerMinute: 2 } })
  const statuses = []
  for (let i = 0; i < 3; i++) statuses.push(await ask('/v1/completions', { prompt: 'a' }))
  expect(statuses.map(({ status }) => status)).toEqual([200, 200, 429])
  expect(Number(statuses[2].headers.get('retry-after'))).toBe(30)
  expect((await statuses[2].json()).error).toMatchObject({ type: 'rate_limit_error' })
  const engine = new MockEngine({ script: () => 97, contextLength: 4096 })
  const full = serve({ limits: { active: 1, waiting: 1 } }, engine)
  const stream = await full.ask('/v1/chat/completions', { ...hello, stream: true })
  const gone = new AbortController()
  const waits = full.ask('/v1/chat/completions', hello, { signal: gone.signal })
  await expect.poll(() => full.server.busy).toBe(2)
  const refused = await full.ask('/v1/chat/completions', hello)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1'])
  gone.abort()
  await waits
  await stream.body?.cancel()
})

test('without keys each request has a part of its own', async () => {
  const { model, asked } = recording()
  await serve({ models: [model] }).ask('/v1/completions', { prompt: 'a', max_tokens: 1 })
  expect(asked[0].client).toBeUndefined()
})

test('the time of a stream is counted to its end', async () => {
  const { ask } = serve({}, new MockEngine({ script: () => 97, contextLength: 4096 }))
  const response = await ask('/v1/chat/completions', { ...hello, stream: true })
  const counted = async () =>
    /bitnet_request_seconds_count\{route="\/v1\/chat\/completions"\} (\d+)/.exec(
      await (await ask('/metrics')).text(),
    )?.[1]
  expect(await counted()).toBeUndefined()
  await response.body?.cancel()
  await expect.poll(counted).toBe('1')
})

test('it says which version it is, or that it does not know', async () => {
  const versionOf = async (options: object) =>
    (await (await serve(options).ask('/api/version')).json()).version
  expect(await versionOf({ version: '1.2.3' })).toBe('1.2.3')
  expect(await versionOf({})).toBe('unknown')
})

describe('a model that takes long to load', () => {
  const slow = () => {
    let finish: (model: LanguageModel) => void = () => undefined
    let loads = 0
    let signal: AbortSignal | undefined
    const load = (closing: AbortSignal): Promise<LanguageModel> => {
      loads++
      signal = closing
      return new Promise((resolve, reject) => {
        finish = resolve
        closing.addEventListener('abort', () => reject(closing.reason))
      })
    }
    const done = () => finish(mockModel(new MockEngine({ script: () => 97 })))
    return { models: [{ id: 'mock', load }], done, loads: () => loads, signal: () => signal }
  }

  test('keeps no request beyond its time, and is there for the next one', async () => {
    const { models, done, loads } = slow()
    const { ask, server } = serve({ models, limits: { seconds: 0.05 } })
    const late = await ask('/v1/chat/completions', hello)
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, '5'])
    const stream = await ask('/v1/chat/completions', { ...hello, stream: true })
    expect(stream.status).toBe(503)
    expect(server.busy).toBe(0)
    done()
    const answered = await ask('/v1/chat/completions', { ...hello, max_tokens: 1 })
    expect([answered.status, loads()]).toEqual([200, 1])
  })

  test('keeps no client that goes away, and ends with the server', async () => {
    const { models, signal } = slow()
    const { ask, server } = serve({ models })
    const gone = new AbortController()
    const asked = ask('/v1/chat/completions', hello, { signal: gone.signal })
    await expect.poll(signal).toBeDefined()
    gone.abort()
    expect((await asked).status).toBe(499)
    expect(server.busy).toBe(0)
    await server.close()
    expect(signal()?.aborted).toBe(true)
  })
})
