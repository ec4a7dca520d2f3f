/** The AI SDK, unchanged, on a model in this process. */
import { embedMany, generateObject, generateText, streamText, tool } from 'ai'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { answers, MockEngine } from '../../test/support/mock-engine.ts'
import { mockModel } from '../../test/support/mock-model.ts'
import { bitnet, bitnetEmbedding } from './index.ts'

const call = '{"name":"weather","arguments":{"place":"Kyoto"}}'
const greedy = { defaults: { temperature: 0 } }
const engine = (...texts: string[]) =>
  new MockEngine({ script: answers(...texts), contextLength: 4096 })
const modelSaying = (text: string) => bitnet(mockModel(engine(text), greedy))
const tools = {
  weather: tool({
    description: 'The weather of a place',
    inputSchema: z.object({ place: z.string().max(9) }),
    execute: async ({ place }) => `rain in ${place}`,
  }),
}

describe('text', () => {
  test('comes whole, with what it took', async () => {
    const model = modelSaying('a short answer')
    const { text, usage, finishReason } = await generateText({ model, prompt: 'hi' })
    expect([text, finishReason]).toEqual(['a short answer', 'stop'])
    expect(usage.outputTokens).toBe('a short answer'.length)
  })

  test('and piece by piece, cut where that is asked for', async () => {
    const model = modelSaying('a short answer')
    const { textStream, finishReason } = streamText({ model, prompt: 'hi', maxOutputTokens: 7 })
    const pieces: string[] = []
    for await (const piece of textStream) pieces.push(piece)
    expect([pieces.join(''), await finishReason]).toEqual(['a short', 'length'])
  })

  test('a model is loaded when it is first needed, and once', async () => {
    let loads = 0
    const model = bitnet(async () => {
      loads++
      return mockModel(engine('yes'), greedy)
    })
    expect(loads).toBe(0)
    await Promise.all([1, 2].map(() => generateText({ model, prompt: 'hi' })))
    expect(loads).toBe(1)
  })

  test('an abort ends it', async () => {
    const endless = mockModel(new MockEngine({ script: () => 97, contextLength: 4096 }), greedy)
    const controller = new AbortController()
    const { textStream } = streamText({
      model: bitnet(endless),
      prompt: 'hi',
      maxOutputTokens: 4000,
      abortSignal: controller.signal,
    })
    for await (const _ of textStream) controller.abort()
    await expect.poll(() => endless.stats().running).toBe(0)
  })
})

test('objects are valid by their schema', async () => {
  const schema = z.object({ city: z.string().max(8), size: z.int().min(1).max(99) })
  const { object } = await generateObject({ model: modelSaying('no'), schema, prompt: 'a city' })
  expect(schema.parse(object)).toEqual(object)
})

describe('tools', () => {
  test('are called, and what they give is answered to', async () => {
    const given: string[] = []
    const model = bitnet(mockModel(engine(call, 'It rains.'), greedy))
    const { toolCalls, finishReason } = await generateText({ model, tools, prompt: 'rain?' })
    expect(toolCalls).toMatchObject([{ toolName: 'weather', input: { place: 'Kyoto' } }])
    expect(finishReason).toBe('tool-calls')
    const { toolResults } = await generateText({
      model: modelSaying(call),
      tools,
      prompt: 'rain?',
      onStepFinish: ({ toolResults: results }) => {
        for (const { output } of results) given.push(String(output))
      },
    })
    expect(toolResults).toHaveLength(1)
    expect(given).toEqual(['rain in Kyoto'])
  })

  test('in a stream too', async () => {
    const parts = streamText({ model: modelSaying(call), tools, prompt: 'rain?' }).fullStream
    const kinds: string[] = []
    for await (const part of parts) kinds.push(part.type)
    expect(kinds).toContain('tool-call')
    expect(kinds).not.toContain('text-delta')
    const said = streamText({ model: modelSaying('It rains.'), tools, prompt: 'rain?' })
    expect(await said.text).toBe('It rains.')
  })
})

test('texts have vectors', async () => {
  const model = bitnetEmbedding(mockModel(new MockEngine()))
  const { embeddings } = await embedMany({ model, values: ['one', 'two'] })
  expect(embeddings.map(({ length }) => length)).toEqual([16, 16])
})

test('what no model here reads is refused in words', async () => {
  const messages = [
    {
      role: 'user' as const,
      content: [{ type: 'image' as const, image: new Uint8Array([137, 80, 78, 71]) }],
    },
  ]
  const asked = generateText({ model: modelSaying(''), messages, maxRetries: 0 })
  await expect(asked).rejects.toThrow('Expected messages of text, got a file')
})
