/**
 * `generate` with a model that echoes: what goes where, and what each flag means.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mockSurroundings } from '../../../../test/support/mock-language-model.ts'
import { ModelNotFoundError, UsageError } from '../../../errors.ts'
import { command } from './generate.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bitnet-generate-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function fileWith(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}

describe('text', () => {
  test('goes to standard output with one line end, and the speed to standard error', async () => {
    const mock = mockSurroundings()
    expect(await command.run({ prompt: 'one two' }, mock)).toBe(0)
    expect(mock.out()).toBe('one two\n')
    expect(mock.err()).toMatch(
      /^2 tokens, 500\.0 tokens\/s · .*ended by itself · .*mock backend\n$/,
    )
    expect(mock.calls.disposed).toBe(1)
  })

  test('gets no second line end after one of its own', async () => {
    const mock = mockSurroundings()
    await command.run({ prompt: 'one\n' }, mock)
    expect(mock.out()).toBe('one\n')
  })

  test('that a model ends at once is followed by the command that asks it', async () => {
    const silent = mockSurroundings({ isSilent: true })
    await command.run({ model: 'my model' }, silent, "What's BitNet?")
    expect(silent.err()).toMatch(/\nThe model .* bitnet run "my model" "What's BitNet\?"\n$/)
    const long = mockSurroundings({ isSilent: true, input: 'one\ntwo\n' })
    await command.run({}, long)
    expect(long.err()).toMatch(/: bitnet run embedded "\.\.\."\n$/)
    for (const [flags, mock] of [
      [{}, { isSilent: true, chatTemplate: undefined }],
      [{ system: 'Be brief.' }, { isSilent: true }],
      [{ stop: ['.'] }, { isSilent: true }],
      [{}, {}],
    ] as const) {
      const quiet = mockSurroundings(mock)
      await command.run(flags, quiet, 'one')
      expect(quiet.err()).not.toContain('bitnet run')
    }
  })

  test('is read from standard input for "-", in UTF-8, without the last line end', async () => {
    const mock = mockSurroundings({ input: 'むかし むかし\n' })
    await command.run({ prompt: '-' }, mock)
    expect(mock.calls.prompts).toEqual(['むかし むかし'])
    expect(mock.out()).toBe('むかし むかし\n')
  })
})

describe('where the prompt comes from', () => {
  test('an argument, a file or a pipe without a flag', async () => {
    const argument = mockSurroundings()
    await command.run({}, argument, 'from here')
    const file = mockSurroundings()
    await command.run({ file: await fileWith('prompt.txt', '\ufefffrom a file\n') }, file)
    const piped = mockSurroundings({ input: 'from a pipe\n' })
    await command.run({}, piped)
    const prompts = [argument, file, piped].flatMap(({ calls }) => calls.prompts)
    expect(prompts).toEqual(['from here', 'from a file', 'from a pipe'])
  })

  test('a system message makes it a conversation', async () => {
    const mock = mockSurroundings()
    const systemFile = await fileWith('system.txt', 'Be brief.\n')
    await command.run({ systemFile }, mock, 'why?')
    expect(mock.calls.prompts).toEqual([
      [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'why?' },
      ],
    ])
  })

  test('a batch may be piped', async () => {
    const mock = mockSurroundings({ input: 'a\nb\n' })
    await command.run({ batch: '-' }, mock)
    expect(mock.out()).toBe('[1] a\na\n\n[2] b\nb\n\n')
  })

  test('a system message makes each line of a batch a conversation', async () => {
    const mock = mockSurroundings({ input: 'a\nb\n' })
    await command.run({ batch: '-', system: 'Be brief.' }, mock)
    const system = { role: 'system', content: 'Be brief.' }
    expect(mock.calls.prompts).toEqual(
      ['a', 'b'].map((content) => [system, { role: 'user', content }]),
    )
    expect(mock.out()).toBe('[1] a\na\n\n[2] b\nb\n\n')
  })

  test('two of them are refused, and so is a person who has typed none', async () => {
    const mock = mockSurroundings()
    await expect(command.run({ prompt: 'a' }, mock, 'b')).rejects.toThrow('Expected one prompt')
    const stdin = Object.assign(mock.stdin, { isTTY: true })
    await expect(command.run({}, { ...mock, stdin })).rejects.toThrow('Expected a prompt')
    expect(mock.calls.loads).toEqual([])
  })
})

test('one token is no plural, and has no speed of its own', async () => {
  const mock = mockSurroundings()
  await command.run({ prompt: 'one' }, mock)
  expect(mock.err()).toMatch(/^1 token, .*prompt 1 token, /)
})

test('more threads than processors are one warning', async () => {
  const mock = mockSurroundings()
  await command.run({ prompt: 'a', threads: 4096, draft: 'small' }, mock)
  expect(mock.err().match(/4096 threads are more than/g)).toHaveLength(1)
  const usual = mockSurroundings()
  await command.run({ prompt: 'a', threads: 1 }, usual)
  expect(usual.err()).not.toContain('threads are more')
})

describe('--json', () => {
  test('prints the result as one JSON value and nothing else', async () => {
    const mock = mockSurroundings()
    await command.run({ prompt: 'a b', json: true }, mock)
    expect(JSON.parse(mock.out())).toMatchObject({
      text: 'a b',
      tokenIds: [0, 1],
      finishReason: 'stop',
      usage: { promptTokens: 1, completionTokens: 2, totalTokens: 3, cachedTokens: 0 },
      backend: { name: 'mock' },
      seed: 7,
    })
  })

  test('puts a batch under `results`, in the order of the file', async () => {
    const mock = mockSurroundings()
    const batch = await fileWith('batch.txt', 'first\n\nsecond one\r\n')
    expect(await command.run({ batch, json: true }, mock)).toBe(0)
    const { results } = JSON.parse(mock.out()) as { results: { text: string }[] }
    expect(results.map(({ text }) => text)).toEqual(['first', 'second one'])
  })
})

test('a batch is printed as prompts with their texts', async () => {
  const mock = mockSurroundings()
  await command.run({ batch: await fileWith('two.txt', 'x\ny\n') }, mock)
  expect(mock.out()).toBe('[1] x\nx\n\n[2] y\ny\n\n')
  expect(mock.err()).toMatch(/^2 prompts, 2 tokens in /)
})

describe('a line of a batch that cannot run', () => {
  const bad = Buffer.concat([Buffer.from('ok い\n\nい'), Buffer.from([0xe3]), Buffer.from('x\n')])

  test.each([
    ['is too long', `first\n\n${'x'.repeat(200)}\nlast\n`, 'Expected line 3 and an answer to fit'],
    ['is damaged', Buffer.concat([bad, Buffer.from('last')]), 'line 3 of'],
  ])('%s: it costs itself alone, with its number', async (_, content, message) => {
    const path = join(folder, 'bad.txt')
    await writeFile(path, content)
    const mock = mockSurroundings()
    expect(await command.run({ batch: path, json: true }, mock)).toBe(1)
    const { results } = JSON.parse(mock.out())
    expect(results).toMatchObject([
      { line: 1, finishReason: 'stop' },
      { line: 3, error: { message: expect.stringContaining(message) } },
      { line: 4, text: 'last' },
    ])
    expect(mock.err()).toMatch(new RegExp(`^bitnet: \\[2\\] .*${message}`))
  })

  test('leaves the numbers of the others as they are', async () => {
    const mock = mockSurroundings()
    const path = await fileWith('long.txt', `a\n${'x'.repeat(200)}\nb\n`)
    expect(await command.run({ batch: path }, mock)).toBe(1)
    expect(mock.out()).toBe('[1] a\na\n\n[3] b\nb\n\n')
  })
})

describe('--messages', () => {
  const list = [{ role: 'user', content: 'hello you' }]

  test('takes JSON text', async () => {
    const mock = mockSurroundings()
    await command.run({ messages: JSON.stringify(list) }, mock)
    expect(mock.calls.prompts).toEqual([list])
  })

  test('takes a file, also one that the chat has saved', async () => {
    const mock = mockSurroundings()
    const path = await fileWith('saved.json', JSON.stringify({ messages: list }))
    await command.run({ messages: path }, mock)
    expect(mock.calls.prompts).toEqual([list])
  })

  test.each([
    '[]',
    '[1]',
    '[{"role":"robot","content":"x"}]',
    '[{"role":"tool"}]',
    '[{"role":"user"}]',
    '{"a":1}',
    '[{',
  ])('refuses %s', async (messages) => {
    await expect(command.run({ messages }, mockSurroundings())).rejects.toThrow(UsageError)
  })
})

test('--messages hands calls of tools, their answers and fields of its own to the template', async () => {
  const list = [
    { role: 'user', content: 'weather?', mood: 'curious' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ function: { name: 'weather', arguments: { at: 'Kyoto' } } }],
    },
    { role: 'tool', name: 'weather', content: '21' },
  ]
  const mock = mockSurroundings()
  await command.run({ messages: JSON.stringify(list) }, mock)
  expect(mock.calls.prompts).toEqual([list])
})

describe('--tools', () => {
  const tools = [{ type: 'function', function: { name: 'weather', parameters: {} } }]

  test('takes JSON text or a file, alone or under "tools", and makes the prompt a message', async () => {
    const mock = mockSurroundings()
    await command.run({ tools: JSON.stringify(tools) }, mock, 'hello')
    await command.run({ tools: await fileWith('t.json', JSON.stringify({ tools })) }, mock, 'hello')
    expect(mock.calls.prompts).toEqual([
      [{ role: 'user', content: 'hello' }],
      [{ role: 'user', content: 'hello' }],
    ])
    for (const options of mock.calls.options) expect(options.tools).toEqual(tools)
  })

  test.each(['[]', '[1]', '{"a":1}', '[{'])('refuses %s', async (tools) => {
    const run = command.run({ tools }, mockSurroundings(), 'hello')
    await expect(run).rejects.toThrow(UsageError)
  })
})

describe('--schema', () => {
  const schema = { type: 'object', properties: { city: { type: 'string' } } }

  test('takes JSON text or a file', async () => {
    const mock = mockSurroundings()
    await command.run({ schema: JSON.stringify(schema) }, mock, 'hello')
    await command.run({ schema: await fileWith('s.json', JSON.stringify(schema)) }, mock, 'hello')
    expect(mock.calls.options.map((options) => options.schema)).toEqual([schema, schema])
  })

  test.each(['[]', '3', '{"a":', 'none.json'])('refuses %s', async (given) => {
    const mock = mockSurroundings()
    await expect(command.run({ schema: given }, mock, 'hello')).rejects.toThrow(UsageError)
    expect(mock.calls.loads).toEqual([])
  })

  test.each([
    ['', /^Expected JSON in .*s\.json: JSON text, got something else \(Unexpected end/],
    ['null', /as an object in .*s\.json, got nothing\.$/],
  ])('says why a file with "%s" is none', async (text, reason) => {
    const schema = await fileWith('s.json', text)
    await expect(command.run({ schema }, mockSurroundings(), 'hello')).rejects.toThrow(reason)
  })
})

test('flags reach the loader and the generation; unset ones stay unset', async () => {
  const mock = mockSurroundings()
  const flags = { model: 'm.gguf', backend: 'reference', threads: 2, topK: 3, stop: ['.'] } as const
  await command.run({ prompt: 'a', ...flags }, mock)
  expect(mock.calls.loads[0].source).toBe('m.gguf')
  expect(mock.calls.loads[0].options).toMatchObject({ backend: 'reference', threads: 2 })
  expect(mock.calls.loads[0].options).not.toHaveProperty('isa')
  expect(mock.calls.options[0]).toMatchObject({ topK: 3, stop: ['.'] })
  expect(mock.calls.options[0]).not.toHaveProperty('temperature')
})

test('Ctrl-C keeps what there is and gives 130', async () => {
  const mock = mockSurroundings({ delay: 20 })
  const running = command.run({ prompt: 'one two three four five six seven eight' }, mock)
  await new Promise((wake) => setTimeout(wake, 70))
  mock.interrupt()
  expect(await running).toBe(130)
  expect(mock.out()).toMatch(/^one /)
  expect(mock.out()).not.toContain('eight')
  expect(mock.err()).toMatch(/ · stopped · /)
  expect(mock.calls.disposed).toBe(1)
})

test('a reader that goes away ends the generation without a failure', async () => {
  const mock = mockSurroundings({ delay: 10 })
  const running = command.run({ prompt: 'one two three four five six' }, mock)
  setTimeout(() => mock.stdout.destroy(), 25)
  expect(await running).toBe(0)
  expect(mock.out()).not.toContain('six')
})

test('no prompt at all is a usage error, and no model is loaded for it', async () => {
  const mock = mockSurroundings()
  mock.stdin.end()
  await expect(command.run({}, mock)).rejects.toThrow(UsageError)
  expect(mock.calls.loads).toEqual([])
})

test('what the loader and the model throw comes through, and the model is disposed', async () => {
  const loadError = new ModelNotFoundError('nothing at x', { source: 'x' })
  await expect(command.run({ prompt: 'a' }, mockSurroundings({ loadError }))).rejects.toBe(
    loadError,
  )
  const generateError = new Error('broken')
  const mock = mockSurroundings({ generateError })
  await expect(command.run({ prompt: 'a' }, mock)).rejects.toBe(generateError)
  expect(mock.calls.disposed).toBe(1)
})
