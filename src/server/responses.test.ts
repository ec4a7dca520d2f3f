/** Calls of tools in /v1/responses: made, streamed, and shown to the model with what came of them. */
import OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import { MockEngine } from '../../test/support/mock-engine.ts'
import { serve } from '../../test/support/mock-server.ts'

const CALL = '{"name":"weather","arguments":{"place":"Kyoto"}}'
const tools = [
  {
    type: 'function' as const,
    name: 'weather',
    description: 'The weather of a place',
    strict: true,
    parameters: {
      type: 'object',
      properties: { place: { type: 'string', maxLength: 8 } },
      required: ['place'],
    },
  },
  { type: 'function' as const, name: 'time', strict: null, parameters: null },
]

/** The openai package, asking a model that says this where it may. */
function saying(text: string, engine = sayingEngine(text)) {
  const { ask } = serve({}, engine)
  const client = new OpenAI({
    apiKey: 'none',
    baseURL: 'http://localhost:8080/v1',
    maxRetries: 0,
    fetch: (url, init) => ask(new URL(String(url)).pathname, undefined, { ...init, ...sent(init) }),
  })
  return client.responses
}

function sent(init: RequestInit | undefined) {
  return { headers: Object.fromEntries(new Headers(init?.headers)) }
}

function sayingEngine(text: string): MockEngine {
  const bytes = [...new TextEncoder().encode(text)]
  const script = (tokens: readonly number[]) =>
    bytes[tokens.length - 1 - tokens.lastIndexOf(259)] ?? 257
  return new MockEngine({ script, contextLength: 4096 })
}

const asked = { model: 'mock', input: 'Does it rain in Kyoto?', tools }

describe('/v1/responses', () => {
  test('calls a tool where the model calls it', async () => {
    const { output, output_text, status, tools: told } = await saying(CALL).create(asked)
    expect(output).toMatchObject([
      {
        type: 'function_call',
        name: 'weather',
        arguments: '{"place":"Kyoto"}',
        status: 'completed',
      },
    ])
    expect([output_text, status, told.length]).toEqual(['', 'completed', 2])
  })

  test('says text where it says text, and where none may be called', async () => {
    expect((await saying('No.').create(asked)).output_text).toBe('No.')
    const none = await saying(CALL).create({ ...asked, tool_choice: 'none' })
    expect(none.output_text).toBe(CALL)
  })

  test('must call one, or a certain one', async () => {
    const most = { max_output_tokens: 90 }
    const any = await saying('No.').create({ ...asked, ...most, tool_choice: 'required' })
    expect(any.output[0].type).toBe('function_call')
    const tool_choice = { type: 'function' as const, name: 'time' }
    const one = await saying(CALL).create({ ...asked, ...most, tool_choice })
    expect(one.output[0]).toMatchObject({ type: 'function_call', name: 'time' })
  })

  test('streams a call as the package reads it', async () => {
    const stream = saying(CALL).stream(asked)
    const types: string[] = []
    for await (const { type } of stream) types.push(type)
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.completed',
    ])
    const { output } = await stream.finalResponse()
    expect(output).toMatchObject([{ name: 'weather', arguments: '{"place":"Kyoto"}' }])
  })

  test.each(['It rains.', '{"no": "call"}'])('streams %j as text', async (text) => {
    const answer = await saying(text)
      .stream({ ...asked, max_output_tokens: 60 })
      .finalResponse()
    if (text.startsWith('{')) expect(answer.output[0].type).toBe('function_call')
    else expect(answer.output_text).toBe(text)
  })

  test('streams a call that is cut as text, and says that it is cut', async () => {
    const cut = { ...asked, max_output_tokens: 12 }
    const answer = await saying(CALL).stream(cut).finalResponse()
    expect(answer.status).toBe('incomplete')
    expect(answer.output[0].type).toBe('message')
  })

  test('shows the model what was called, by its name, and what came of it', async () => {
    const engine = sayingEngine('')
    let shown = ''
    const step = engine.step.bind(engine)
    engine.step = (batch, wants) => {
      shown += String.fromCharCode(...Array.from(batch.tokens).filter((id) => id < 256))
      return step(batch, wants)
    }
    await saying('', engine).create({
      ...asked,
      input: [
        { role: 'user', content: 'Does it rain?' },
        { type: 'function_call', call_id: 'c1', name: 'weather', arguments: '{"place":"Kyoto"}' },
        { type: 'function_call_output', call_id: 'c1', output: 'it pours' },
      ],
    })
    expect(shown).toContain('The weather of a place')
    expect(shown).toContain(CALL)
    expect(shown).toContain('The tool weather gave:\nit pours')
  })

  test.each([
    ['a tool of another kind', { tools: [{ type: 'web_search' }] }],
    ['the choice of another tool', { tools, tool_choice: { type: 'function', name: 'x' } }],
    ['a choice without tools', { tool_choice: 'required' }],
    ['what is stored nowhere', { previous_response_id: 'resp-1' }],
  ])('%s is refused', async (_, fields) => {
    const { ask } = serve()
    expect((await ask('/v1/responses', { input: 'hi', ...fields })).status).toBe(400)
  })
})
