/** Answers held to a schema and calls of tools, in both dialects, whole and piece by piece. */
import { describe, expect, test } from 'vitest'
import { MockEngine } from '../../test/support/mock-engine.ts'
import { eventsOf, hello, serve } from '../../test/support/mock-server.ts'

/** A model that says these bytes where it may, and otherwise what comes. */
function saying(text: string) {
  const bytes = [...new TextEncoder().encode(text)]
  const script = (tokens: readonly number[]) => {
    const begin = tokens.lastIndexOf(259)
    return bytes[tokens.length - 1 - begin] ?? 257
  }
  return serve({}, new MockEngine({ script, contextLength: 4096 }))
}

const schema = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 9 }, size: { type: 'integer', minimum: 1 } },
  required: ['city', 'size'],
}
const city = { city: expect.stringMatching(/^.{0,9}$/su), size: expect.any(Number) }
const call = '{"name":"weather","arguments":{"place":"Kyoto"}}'
const tools = [
  {
    type: 'function',
    function: {
      name: 'weather',
      description: 'The weather of a place',
      parameters: {
        type: 'object',
        properties: { place: { $ref: '#/$defs/place' } },
        required: ['place'],
        $defs: { place: { type: 'string', maxLength: 8 } },
      },
    },
  },
  { type: 'function', function: { name: 'time' } },
]

describe('OpenAI', () => {
  const ask = async (said: string, fields: object) =>
    (await (await saying(said).ask('/v1/chat/completions', { ...hello, ...fields })).json())
      .choices[0]

  test('json_schema holds the answer to a schema', async () => {
    const format = { type: 'json_schema', json_schema: { name: 'city', strict: true, schema } }
    const choice = await ask('no JSON at all', { response_format: format, max_tokens: 80 })
    expect(JSON.parse(choice.message.content)).toEqual(city)
    expect(choice.finish_reason).toBe('stop')
  })

  test('json_object holds it to any object, and text to nothing', async () => {
    const choice = await ask('[1]', { response_format: { type: 'json_object' }, max_tokens: 60 })
    expect(JSON.parse(choice.message.content)).toEqual(expect.any(Object))
    const text = await ask('[1]', { response_format: { type: 'text' } })
    expect(text.message.content).toBe('[1]')
  })

  test('a tool is called where the model calls it', async () => {
    const choice = await ask(call, { tools })
    expect(choice).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: null,
        tool_calls: [
          { type: 'function', function: { name: 'weather', arguments: '{"place":"Kyoto"}' } },
        ],
      },
    })
    expect(choice.message.tool_calls[0].id).toMatch(/^call-/)
  })

  test('and text is said where it says text', async () => {
    const choice = await ask('It rains.', { tools, tool_choice: 'auto' })
    expect(choice).toMatchObject({ message: { content: 'It rains.' }, finish_reason: 'stop' })
    const none = await ask(call, { tools, tool_choice: 'none' })
    expect(none).toMatchObject({ message: { content: call }, finish_reason: 'stop' })
  })

  test('required asks for any call, and a name for that one', async () => {
    const any = await ask('It rains.', { tools, tool_choice: 'required', max_tokens: 90 })
    expect(['weather', 'time']).toContain(any.message.tool_calls[0].function.name)
    const named = { type: 'function', function: { name: 'time' } }
    const one = await ask(call, { tools, tool_choice: named, max_tokens: 90 })
    expect(one.message.tool_calls[0].function.name).toBe('time')
  })

  test.each([
    ['a call', call, { tool_calls: [{ index: 0, function: { name: 'weather' } }] }, 'tool_calls'],
    ['text', 'It rains.', { content: 'It rains.' }, 'stop'],
  ])('%s comes in a stream too', async (_, said, delta, reason) => {
    const body = { ...hello, tools, stream: true }
    const events = await eventsOf(await saying(said).ask('/v1/chat/completions', body))
    const choices = events.slice(0, -1).map((data) => JSON.parse(data).choices[0])
    const content = choices.map((one) => one.delta.content ?? '').join('')
    const calls = choices.flatMap((one) => one.delta.tool_calls ?? [])
    const whole = calls.length === 0 ? { content } : { tool_calls: calls }
    expect(whole).toMatchObject(delta)
    expect(content === '' || calls.length === 0).toBe(true)
    expect(choices.at(-1).finish_reason).toBe(reason)
  })

  test('a call that is cut is text, and says that it is cut', async () => {
    const choice = await ask(call, { tools, max_tokens: 12 })
    expect(choice.finish_reason).toBe('length')
    expect(choice.message.tool_calls).toBeUndefined()
  })

  test('what was called and what came of it is shown to the model', async () => {
    const engine = new MockEngine({ script: () => 257, contextLength: 4096 })
    let shown = ''
    const step = engine.step.bind(engine)
    engine.step = (batch, wants) => {
      shown += String.fromCharCode(...Array.from(batch.tokens).filter((id) => id < 256))
      return step(batch, wants)
    }
    const messages = [
      { role: 'user', content: 'Does it rain?' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: 'call-1',
            type: 'function',
            function: { name: 'weather', arguments: '{"place":"Kyoto"}' },
          },
        ],
      },
      { role: 'tool', tool_call_id: 'call-1', content: 'yes' },
    ]
    await serve({}, engine).ask('/v1/chat/completions', { messages, tools })
    expect(shown).toContain('The weather of a place')
    expect(shown).toContain(call)
    expect(shown).toContain('yes')
  })

  test('an input is answered by a schema', async () => {
    const text = { format: { type: 'json_schema', name: 'city', schema } }
    const body = { input: 'hi', text, max_output_tokens: 80 }
    const { output } = await (await saying('no').ask('/v1/responses', body)).json()
    expect(JSON.parse(output[0].content[0].text)).toEqual(city)
  })

  test.each([
    ['a format that there is not', { response_format: { type: 'xml' } }],
    ['a schema without one', { response_format: { type: 'json_schema', json_schema: {} } }],
    ['no tools beside their choice', { tool_choice: 'required' }],
    [
      'the choice of another tool',
      { tools, tool_choice: { type: 'function', function: { name: 'x' } } },
    ],
    ['a tool that is no function', { tools: [{ type: 'web_search' }] }],
    [
      'parameters that are not held',
      { tools: [{ type: 'function', function: { name: 'f', parameters: { not: {} } } }] },
    ],
  ])('%s is refused', async (_, fields) => {
    const response = await saying('').ask('/v1/chat/completions', { ...hello, ...fields })
    expect(response.status).toBe(400)
  })

  test('parameters of thousands of schemas inside each other are refused in plain words', async () => {
    const open = '{"type":"object","properties":{"a":'
    const parameters = JSON.parse(`${open.repeat(2000)}{}${'}}'.repeat(2000)}`)
    const deep = [{ type: 'function', function: { name: 'f', parameters } }]
    const response = await saying('').ask('/v1/chat/completions', { ...hello, tools: deep })
    expect(response.status).toBe(400)
    expect((await response.json()).error.message).toMatch(/thousands of schemas deep\.$/)
  })
})

describe('Ollama', () => {
  test('format is any object, or a schema', async () => {
    const ask = async (format: unknown) => {
      const options = { num_predict: 80 }
      const body = { ...hello, stream: false, format, options }
      return (await (await saying('no').ask('/api/chat', body)).json()).message.content
    }
    expect(JSON.parse(await ask('json'))).toEqual(expect.any(Object))
    expect(JSON.parse(await ask(schema))).toEqual(city)
    expect(await ask('')).toBe('no')
  })

  test('tools are called, at once and line by line', async () => {
    const made = [{ function: { name: 'weather', arguments: { place: 'Kyoto' } } }]
    const whole = await (
      await saying(call).ask('/api/chat', { ...hello, tools, stream: false })
    ).json()
    expect(whole.message).toMatchObject({ content: '', tool_calls: made })
    const lines = (await (await saying(call).ask('/api/chat', { ...hello, tools })).text()).trim()
    const parts = lines.split('\n').map((line) => JSON.parse(line))
    expect(parts.flatMap(({ message }) => message.tool_calls ?? [])).toEqual(made)
    expect(parts.map(({ message }) => message.content).join('')).toBe('')
    expect(parts.at(-1).done).toBe(true)
  })
})
