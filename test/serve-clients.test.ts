/** Clients that people have, unchanged, against the server on a port; and what happens to connections at its end. */
import { request } from 'node:http'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { embed, generateObject, generateText, streamText, tool } from 'ai'
import { Ollama } from 'ollama'
import OpenAI, { toFile } from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { openBatchStore } from '../src/node/batch/open-store.ts'
import { type Listening, listen } from '../src/node/server/listen.ts'
import { type BitnetServer, createBitnetServer } from '../src/server/app.ts'
import type { ServerOptions } from '../src/server/options.ts'
import { answers, MockEngine } from './support/mock-engine.ts'
import { mockModel } from './support/mock-model.ts'
import { hasSqlite } from './support/services.ts'

const ANSWER = 'a short answer'
const ASSISTANT = 259
const running: Listening[] = []
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop(0)
})

/** Answers conversations; goes on with texts in one letter. */
const script = (tokens: readonly number[]) =>
  tokens.includes(ASSISTANT) ? answers(ANSWER)(tokens) : 97

async function open(
  says: typeof script = script,
  more: Partial<ServerOptions> = {},
): Promise<{ app: BitnetServer; url: string }> {
  const engine = new MockEngine({ script: says, contextLength: 100_000 })
  const app = createBitnetServer({
    models: [{ id: 'mock', load: async () => mockModel(engine, { defaults: { temperature: 0 } }) }],
    keys: [{ key: 'a-key-of-the-tests', name: 'tests' }],
    ...more,
  })
  const listening = await listen(app, { host: '127.0.0.1', port: 0 })
  running.push(listening)
  return { app, url: listening.url }
}

const messages = [{ role: 'user' as const, content: 'hi' }]

test('the openai package', async () => {
  const { url } = await open()
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'a-key-of-the-tests', maxRetries: 0 })
  const answer = await client.chat.completions.create({ model: 'mock', messages })
  expect(answer.choices[0].message.content).toBe(ANSWER)

  const stream = await client.chat.completions.create({ model: 'mock', messages, stream: true })
  let text = ''
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
  expect(text).toBe(ANSWER)

  const response = await client.responses.create({ model: 'mock', input: 'hi' })
  expect(response.output_text).toBe(ANSWER)
  const events = client.responses.stream({ model: 'mock', input: 'hi' })
  expect((await events.finalResponse()).output_text).toBe(ANSWER)

  const text16 = await client.completions.create({ model: 'mock', prompt: 'one', max_tokens: 4 })
  expect(text16.choices[0].text).toBe('aaaa')
  const { data } = await client.embeddings.create({ model: 'mock', input: ['one', 'two'] })
  expect(data.map(({ embedding }) => embedding.length)).toEqual([16, 16])
  const likely = await client.chat.completions.create({
    model: 'mock',
    messages,
    logprobs: true,
    top_logprobs: 2,
    max_completion_tokens: 2,
    n: 2,
  })
  expect(likely.choices.map(({ logprobs }) => logprobs?.content?.length)).toEqual([2, 2])
  const schema = z.object({ city: z.string().max(8) })
  const parsed = await client.chat.completions.parse({
    model: 'mock',
    messages,
    max_tokens: 60,
    response_format: zodResponseFormat(schema, 'place'),
  })
  expect(schema.parse(parsed.choices[0].message.parsed)).toBeDefined()
  const look = { name: 'look', parameters: { type: 'object', properties: {} } }
  const called = await client.chat.completions.create({
    model: 'mock',
    messages,
    tools: [{ type: 'function', function: look }],
    tool_choice: 'required',
    max_tokens: 60,
  })
  expect(called.choices[0]).toMatchObject({
    finish_reason: 'tool_calls',
    message: { tool_calls: [{ type: 'function', function: { name: 'look' } }] },
  })

  expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['mock'])
  const wrong = client.chat.completions.create({ model: 'other', messages })
  await expect(wrong).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
  const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'another', maxRetries: 0 })
  await expect(stranger.models.list()).rejects.toMatchObject({ status: 401 })
})

test.skipIf(!(await hasSqlite()))('the openai package, with files and batches', async () => {
  const batches = await openBatchStore(':memory:')
  const { url } = await open(script, { batches })
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'a-key-of-the-tests', maxRetries: 0 })
  const lines = ['one', 'two'].map((custom_id) =>
    JSON.stringify({ custom_id, method: 'POST', url: '/v1/chat/completions', body: { messages } }),
  )
  const input = await toFile(new TextEncoder().encode(lines.join('\n')), 'in.jsonl')
  const file = await client.files.create({ file: input, purpose: 'batch' })
  const { id } = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  })
  await expect
    .poll(async () => (await client.batches.retrieve(id)).status, { timeout: 10_000 })
    .toBe('completed')
  const { output_file_id: output, request_counts } = await client.batches.retrieve(id)
  expect(request_counts).toEqual({ total: 2, completed: 2, failed: 0 })
  const text = await (await client.files.content(output ?? '')).text()
  const said = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(said.map(({ custom_id }) => custom_id)).toEqual(['one', 'two'])
  expect(said[0].response.body.choices[0].message.content).toBe(ANSWER)
  expect((await client.batches.list()).data.map((one) => one.id)).toEqual([id])
  expect((await client.files.list()).data.length).toBeGreaterThan(1)
  expect((await client.files.delete(file.id)).deleted).toBe(true)
  await running.splice(0)[0].stop(0)
  await batches.close()
})

test('the AI SDK', async () => {
  const { url } = await open()
  const provider = createOpenAICompatible({
    name: 'bitnet',
    baseURL: `${url}/v1`,
    apiKey: 'a-key-of-the-tests',
    supportsStructuredOutputs: true,
  })
  const model = provider('mock')
  expect((await generateText({ model, prompt: 'hi' })).text).toBe(ANSWER)
  const streamed = streamText({ model, prompt: 'hi' })
  expect(await streamed.text).toBe(ANSWER)
  const schema = z.object({ city: z.string().max(8) })
  const { object } = await generateObject({ model, schema, prompt: 'a city', maxOutputTokens: 60 })
  expect(schema.parse(object)).toEqual(object)
  const tools = {
    look: tool({ inputSchema: z.object({ at: z.string().max(5) }), execute: async () => 'it' }),
  }
  const asked = {
    model,
    tools,
    toolChoice: 'required',
    prompt: 'look',
    maxOutputTokens: 80,
  } as const
  expect((await generateText(asked)).toolCalls).toMatchObject([{ toolName: 'look' }])
  const { embedding } = await embed({ model: provider.embeddingModel('mock'), value: 'one' })
  expect(embedding.length).toBeGreaterThan(1)
})

test('the ollama package', async () => {
  const { url } = await open()
  const headers = { authorization: 'Bearer a-key-of-the-tests' }
  const client = new Ollama({ host: url, headers })
  const answer = await client.chat({ model: 'mock', messages })
  expect(answer.message.content).toBe(ANSWER)
  let text = ''
  for await (const part of await client.chat({ model: 'mock', messages, stream: true })) {
    text += part.message.content
  }
  expect(text).toBe(ANSWER)
  expect((await client.list()).models.map(({ name }) => name)).toEqual(['mock'])
  expect((await client.generate({ model: 'mock', prompt: 'hi' })).response).toBe(ANSWER)
  expect((await client.embed({ model: 'mock', input: ['a', 'b'] })).embeddings).toHaveLength(2)
  const format = z.toJSONSchema(z.object({ city: z.string().max(8) }))
  const options = { num_predict: 60 }
  const held = await client.chat({ model: 'mock', messages, format, options })
  expect(JSON.parse(held.message.content)).toHaveProperty('city')
  const wrong = client.chat({ model: 'other', messages })
  await expect(wrong).rejects.toMatchObject({
    status_code: 404,
    message: expect.stringContaining('Expected one of the models mock'),
  })
  const leaving = await client.chat({ model: 'mock', messages, stream: true })
  leaving.abort()
})

/** Begins to read a stream, and gives what ends the connection. */
function beginStream(
  url: string,
): Promise<{ status: number | undefined; drop(): void; ended: Promise<string> }> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      authorization: 'Bearer a-key-of-the-tests',
    }
    const asked = request(`${url}/v1/chat/completions`, { method: 'POST', headers }, (response) => {
      let text = ''
      const ended = new Promise<string>((end) => {
        response.on('data', (chunk) => (text += chunk))
        response.on('close', () => end(text))
        response.on('error', () => end(text))
      })
      response.once('data', () =>
        resolve({ status: response.statusCode, drop: () => asked.destroy(), ended }),
      )
    })
    asked.on('error', reject)
    asked.end(JSON.stringify({ messages, stream: true }))
  })
}

test('a connection that breaks ends its generation', async () => {
  const { app, url } = await open(() => 97)
  const { drop, status } = await beginStream(url)
  expect([status, app.busy]).toEqual([200, 1])
  drop()
  await expect.poll(() => app.busy).toBe(0)
})

test('what runs is finished before the server ends', async () => {
  let isOver = false
  const { url } = await open((tokens) => (isOver ? answers('')(tokens) : 97))
  const { ended } = await beginStream(url)
  const stopping = running.splice(0)[0].stop(60_000)
  const late = await fetch(`${url}/readyz`).then(
    ({ status }) => status,
    () => 'refused',
  )
  expect([503, 'refused']).toContain(late)
  isOver = true
  await stopping
  expect(await ended).toContain('data: [DONE]')
})
