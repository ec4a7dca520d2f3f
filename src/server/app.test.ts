/** The routes, with models whose answers are known: shapes, refusals, limits and ends. */
import { describe, expect, test } from 'vitest'
import { MockEngine } from '../../test/support/mock-engine.ts'
import { ANSWER, eventsOf, hello, serve } from '../../test/support/mock-server.ts'
import type { LogEntry } from './options.ts'
import { refusalOf } from './refusal.ts'

describe('OpenAI', () => {
  test('answers a conversation', async () => {
    const { ask } = serve()
    const response = await ask('/v1/chat/completions', hello)
    expect(response.status).toBe(200)
    expect(response.headers.get('x-request-id')).toMatch(/^req-/)
    expect(await response.json()).toMatchObject({
      object: 'chat.completion',
      model: 'mock',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: ANSWER },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: { completion_tokens: ANSWER.length },
    })
  })

  test('streams the same, with its usage at the end where that is asked for', async () => {
    const { ask } = serve()
    const body = { ...hello, stream: true, stream_options: { include_usage: true } }
    const response = await ask('/v1/chat/completions', body)
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    const events = await eventsOf(response)
    expect(events.at(-1)).toBe('[DONE]')
    const chunks = events.slice(0, -1).map((data) => JSON.parse(data))
    expect(chunks[0].choices[0].delta).toEqual({ role: 'assistant', content: '' })
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(ANSWER)
    expect(chunks.at(-2).choices[0].finish_reason).toBe('stop')
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { completion_tokens: ANSWER.length },
    })
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true)
  })

  test('ends at a stop string or the length, and gives several answers', async () => {
    const { ask } = serve()
    const answerTo = async (fields: object) =>
      (await (await ask('/v1/chat/completions', { ...hello, ...fields })).json()).choices
    expect(await answerTo({ stop: ' answer' })).toMatchObject([
      { message: { content: 'a short' }, finish_reason: 'stop' },
    ])
    expect(await answerTo({ max_tokens: 3 })).toMatchObject([
      { message: { content: 'a s' }, finish_reason: 'length' },
    ])
    expect(await answerTo({ n: 3, max_completion_tokens: 1 })).toMatchObject([
      { index: 0 },
      { index: 1 },
      { index: 2 },
    ])
  })

  test('says how likely tokens were', async () => {
    const { ask } = serve()
    const body = { ...hello, logprobs: true, top_logprobs: 2, max_tokens: 2 }
    const { choices } = await (await ask('/v1/chat/completions', body)).json()
    expect(choices[0].logprobs.content).toHaveLength(2)
    expect(choices[0].logprobs.content[0]).toMatchObject({ token: 'a', bytes: [97] })
    expect(choices[0].logprobs.content[0].top_logprobs).toHaveLength(2)
  })

  test('continues a text, several at a time', async () => {
    const { ask } = serve()
    const body = { prompt: ['one', 'two'], max_tokens: 4, echo: true }
    const { choices, usage } = await (await ask('/v1/completions', body)).json()
    expect(choices).toMatchObject([
      { index: 0, text: 'oneaaaa', finish_reason: 'length' },
      { index: 1, text: 'twoaaaa' },
    ])
    expect(usage.completion_tokens).toBe(8)
    const events = await eventsOf(
      await ask('/v1/completions', { prompt: 'one', stream: true, max_tokens: 4 }),
    )
    const texts = events.slice(0, -1).map((data) => JSON.parse(data).choices[0].text)
    expect(texts.join('')).toBe('aaaa')
  })

  test('answers an input, at once and in events', async () => {
    const { ask } = serve()
    const whole = await (
      await ask('/v1/responses', { input: 'hi', instructions: 'be brief' })
    ).json()
    expect(whole).toMatchObject({ object: 'response', status: 'completed' })
    expect(whole.output[0].content[0]).toMatchObject({ type: 'output_text', text: ANSWER })
    const events = await eventsOf(await ask('/v1/responses', { input: 'hi', stream: true }))
    const parsed = events.map((data) => JSON.parse(data))
    expect(parsed.map(({ sequence_number }) => sequence_number)).toEqual(parsed.map((_, i) => i))
    expect(parsed.map(({ delta }) => delta ?? '').join('')).toBe(ANSWER)
    expect(parsed.at(-1)).toMatchObject({ type: 'response.completed' })
  })

  test('gives vectors as numbers or as bytes', async () => {
    const { ask } = serve()
    const input = ['one', 'two']
    const numbers = await (await ask('/v1/embeddings', { input })).json()
    const bytes = await (await ask('/v1/embeddings', { input, encoding_format: 'base64' })).json()
    expect(numbers.data).toHaveLength(2)
    const decoded = new Float32Array(
      Uint8Array.from(atob(bytes.data[1].embedding), (c) => c.charCodeAt(0)).buffer,
    )
    expect([...decoded]).toEqual(numbers.data[1].embedding)
  })

  test('lists its models, and describes its routes', async () => {
    const { ask } = serve()
    expect(await (await ask('/v1/models')).json()).toMatchObject({ data: [{ id: 'mock' }] })
    expect(await (await ask('/v1/models/mock')).json()).toMatchObject({ id: 'mock' })
    const { paths } = await (await ask('/openapi.json')).json()
    expect(Object.keys(paths)).toContain('/v1/chat/completions')
    const schema = paths['/v1/chat/completions'].post.requestBody.content['application/json'].schema
    expect(schema.required).toContain('messages')
  })
})

describe('Ollama', () => {
  test('answers line by line, or at once', async () => {
    const { ask } = serve()
    const lines = (await (await ask('/api/chat', hello)).text()).trim().split('\n')
    const parsed = lines.map((line) => JSON.parse(line))
    expect(parsed.map(({ message }) => message.content).join('')).toBe(ANSWER)
    expect(parsed.at(-1)).toMatchObject({
      done: true,
      done_reason: 'stop',
      eval_count: ANSWER.length,
    })
    const once = await (
      await ask('/api/generate', { model: 'mock:latest', prompt: 'hi', stream: false })
    ).json()
    expect(once).toMatchObject({ response: ANSWER, done: true, model: 'mock' })
  })

  test('reads its own names of options', async () => {
    const { ask } = serve()
    const options = { num_predict: 3, temperature: 0, repeat_penalty: 1, stop: ['zzz'] }
    const cut = await (await ask('/api/chat', { ...hello, stream: false, options })).json()
    expect(cut).toMatchObject({ message: { content: 'a s' }, done_reason: 'length' })
    const endless = { ...hello, stream: false, options: { num_predict: -1 } }
    expect(await (await ask('/api/chat', endless)).json()).toMatchObject({
      message: { content: ANSWER },
    })
  })

  test('lists and embeds', async () => {
    const { ask } = serve()
    expect(await (await ask('/api/tags')).json()).toMatchObject({ models: [{ name: 'mock' }] })
    const { embeddings } = await (await ask('/api/embed', { input: 'one' })).json()
    expect(embeddings).toHaveLength(1)
  })
})

describe('ends', () => {
  test('a client that goes away in a stream ends its generation', async () => {
    const engine = new MockEngine({ script: () => 97, contextLength: 4096 })
    const { server, ask } = serve({}, engine)
    const response = await ask('/v1/chat/completions', { ...hello, stream: true })
    const reader = response.body?.getReader()
    await reader?.read()
    expect(server.busy).toBe(1)
    await reader?.cancel()
    await expect.poll(() => server.busy).toBe(0)
    const passes = engine.passes.length
    await new Promise((resolve) => setImmediate(resolve))
    expect(engine.passes.length - passes).toBeLessThan(3)
  })

  test('a stream that fails breaks off, and the log says why', async () => {
    const entries: LogEntry[] = []
    const engine = new MockEngine({ script: () => 97, contextLength: 4096 })
    engine.beforePass = (pass) => {
      if (pass > 5) throw new Error('The disk of /secret/path is broken.')
    }
    const { server, ask } = serve({ log: (entry) => entries.push(entry) }, engine)
    const response = await ask('/v1/chat/completions', { ...hello, stream: true })
    expect(response.status).toBe(200)
    await expect(response.text()).rejects.toThrow()
    await expect.poll(() => server.busy).toBe(0)
    expect(entries.find(({ event }) => event === 'failure')).toMatchObject({
      level: 'error',
      requestId: response.headers.get('x-request-id'),
      reason: expect.stringContaining('broken'),
    })
  })

  test('a reader that takes nothing is given up', async () => {
    const entries: LogEntry[] = []
    const engine = new MockEngine({ script: () => 97, contextLength: 4096 })
    const log = (entry: LogEntry) => entries.push(entry)
    const { server, ask } = serve({ limits: { stallSeconds: 0.05 }, log }, engine)
    const response = await ask('/v1/chat/completions', { ...hello, stream: true })
    await expect.poll(() => server.busy).toBe(0)
    await expect(response.text()).rejects.toThrow()
    expect(entries.map(({ event }) => event)).toContain('stalled')
  })

  test('whoever gets no turn in time is told to come again', async () => {
    const reason = await new Promise((resolve) => {
      const signal = AbortSignal.timeout(1)
      signal.addEventListener('abort', () => resolve(signal.reason))
    })
    expect(refusalOf(reason)).toMatchObject({ status: 503, code: 'timeout', retryAfter: 5 })
  })

  test('draining refuses what is new', async () => {
    const { server, ask } = serve()
    expect((await ask('/readyz')).status).toBe(200)
    server.drain()
    expect((await ask('/readyz')).status).toBe(503)
    const refused = await ask('/v1/chat/completions', hello)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '10'])
  })

  test('figures and log tell of it, without a word of what was said', async () => {
    const entries: LogEntry[] = []
    const { ask } = serve({ log: (entry) => entries.push(entry) })
    await ask('/v1/chat/completions', {
      ...hello,
      messages: [{ role: 'user', content: 'a secret' }],
    })
    await ask(`/v1/${'x'.repeat(50)}`)
    const text = await (await ask('/metrics')).text()
    expect(text).toContain(`bitnet_tokens_total{model="mock",kind="answer"} ${ANSWER.length}`)
    expect(text).toContain('bitnet_requests_total{route="other",status="404"} 1')
    expect(entries[0]).toMatchObject({
      event: 'request',
      route: '/v1/chat/completions',
      status: 200,
    })
    expect(JSON.stringify(entries)).not.toContain('secret')
  })

  test('figures have the queue, the batch, the cache and memory', async () => {
    const engine = new MockEngine({ script: () => 97, contextLength: 4096 })
    const { ask } = serve({ limits: { active: 2 } }, engine)
    const figure = async (name: string) => {
      const text = await (await ask('/metrics')).text()
      const line = text.split('\n').find((one) => one.startsWith(`${name} `))
      return line === undefined ? undefined : Number(line.slice(name.length))
    }
    expect(await figure('bitnet_passes_total{model="mock"}')).toBeUndefined()
    const stream = () => ask('/v1/chat/completions', { ...hello, stream: true })
    const streams = await Promise.all([stream(), stream()])
    const gone = new AbortController()
    const third = ask('/v1/chat/completions', hello, { signal: gone.signal })
    await expect.poll(() => figure('bitnet_waiting_requests')).toBe(1)
    expect(await figure('bitnet_active_requests')).toBe(2)
    expect(await figure('bitnet_sequences{model="mock",state="running"}')).toBe(2)
    expect(await figure('bitnet_batch_size{model="mock"}')).toBeGreaterThan(0)
    expect(await figure('bitnet_passes_total{model="mock"}')).toBe(engine.passes.length)
    expect(await figure('bitnet_cache_blocks{model="mock",state="used"}')).toBeGreaterThan(0)
    gone.abort()
    await third
    for (const { body } of streams) await body?.cancel()
    const long = { prompt: 'x'.repeat(600), max_tokens: 1 }
    for (let i = 0; i < 2; i++) await ask('/v1/completions', long)
    expect(await figure('bitnet_cache_lookups_total{model="mock",state="hit"}')).toBeGreaterThan(0)
    expect(await figure('bitnet_weight_bytes{model="mock"}')).toBe(0)
    expect(await figure('process_resident_memory_bytes')).toBeGreaterThan(1e6)
  })
})
