/**
 * `chat` over a pipe with a model that echoes the last message.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type MockSurroundings,
  mockSurroundings,
} from '../../../../test/support/mock-language-model.ts'
import { ModelNotFoundError, UsageError } from '../../../errors.ts'
import { SAMPLING_OPTIONS } from '../../flags/generation-flags.ts'
import { command } from './chat.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bitnet-chat-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function chat(input: string, env: Record<string, string> = {}): Promise<MockSurroundings> {
  const mock = mockSurroundings({ input, env })
  expect(await command.run({}, mock)).toBe(0)
  return mock
}

describe('a conversation', () => {
  test('writes the answers alone to standard output', async () => {
    const mock = await chat('hello there\nsecond line\n')
    expect(mock.out()).toBe('hello there\nsecond line\n')
    expect(mock.err()).toBe('2 answers, 4 tokens, 500.0 tokens/s · mock backend\n')
  })

  test('keeps its history', async () => {
    const mock = await chat('a\nb\n')
    expect(mock.calls.prompts[1]).toEqual([
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'a' },
      { role: 'user', content: 'b' },
    ])
  })

  test('takes the system message from a file, but not from where its turns come', async () => {
    const path = join(folder, 'role.txt')
    await writeFile(path, 'Be brief.\n')
    const mock = mockSurroundings({ input: 'a\n' })
    expect(await command.run({ systemFile: path }, mock)).toBe(0)
    expect(mock.calls.prompts[0][0]).toEqual({ role: 'system', content: 'Be brief.' })
    const fromInput = command.run({ systemFile: '-' }, mockSurroundings({ input: 'a\n' }))
    await expect(fromInput).rejects.toThrow('standard input holds the conversation')
  })

  test('begins with the system message', async () => {
    const mock = mockSurroundings({ input: 'a\n' })
    await command.run({ system: 'Be kind.' }, mock)
    expect(mock.calls.prompts[0]).toEqual([
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'a' },
    ])
  })

  test.each(['quit', 'exit', '終了', ' 終了 '])('ends at "%s"', async (word) => {
    const mock = await chat(`one\n${word}\ntwo\n`)
    expect(mock.out()).toBe('one\n')
    expect(mock.calls.disposed).toBe(1)
  })

  test('skips empty lines', async () => {
    const mock = await chat('\n  \na\n')
    expect(mock.calls.prompts).toHaveLength(1)
  })
})

describe('commands', () => {
  test('/reset forgets', async () => {
    const mock = await chat('a\n/reset\nb\n')
    expect(mock.calls.prompts[1]).toEqual([{ role: 'user', content: 'b' }])
  })

  test('/save and /load carry a conversation over', async () => {
    const path = join(folder, 'talk with spaces.json')
    await chat(`a\n/save ${path}\n`)
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({
      messages: [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: 'a' },
      ],
    })
    const mock = await chat(`/load ${path}\nb\n/save ${path}\n`)
    expect(mock.calls.prompts[0]).toHaveLength(3)
    expect(mock.err()).toContain('Saved 4 messages')
  })

  test('/save does not overwrite a file of another kind', async () => {
    const path = join(folder, 'notes.txt')
    await writeFile(path, 'precious')
    const mock = await chat(`a\n/save ${path}\nb\n`)
    expect(await readFile(path, 'utf8')).toBe('precious')
    expect(mock.err()).toContain('is not a saved conversation')
    expect(mock.out()).toBe('a\nb\n')
  })

  test('/load refuses what is no conversation, and the chat goes on', async () => {
    const path = join(folder, 'bad.json')
    await writeFile(path, '{"messages":[{"role":"robot","content":"x"}]}')
    const mock = await chat(`/load ${path}\n/load ${path}.missing\nb\n`)
    expect(mock.err()).toContain('Expected message 1')
    expect(mock.err()).toContain(`Not loaded: ${path}.missing`)
    expect(mock.calls.prompts).toEqual([[{ role: 'user', content: 'b' }]])
  })

  test('/stats and /help print to standard output', async () => {
    const mock = await chat('a b\n/stats\n/help\n')
    expect(mock.out()).toContain('answer tokens: 2')
    expect(mock.out()).toContain('context used: 3 / 100')
    expect(mock.out()).toContain('/load FILE')
  })

  test('an unknown one is explained and not sent to the model', async () => {
    const mock = await chat('/frobnicate now\n/save\n')
    expect(mock.err()).toContain('There is no command /frobnicate. /help')
    expect(mock.err()).toContain('Expected a file name: /save FILE')
    expect(mock.calls.prompts).toEqual([])
  })
})

test.each(['quit', 'exit', '終了', '/bye', '/exit', 'QUIT', 'Ｑｕｉｔ', '／ＢＹＥ', '　終了　'])(
  '"%s" leaves, whatever its case and width',
  async (word) => {
    const mock = await chat(`one\n${word}\ntwo\n`)
    expect(mock.out()).toBe('one\n')
  },
)

test.each(['/HELP', '／help', '／ｈｅｌｐ', ' /help ', '/?'])('"%s" is a command', async (line) => {
  expect((await chat(`${line}\n`)).out()).toContain('/load FILE')
})

test.each(['/usr/bin is a folder', '1/2', '//', '/save\u200b x'])(
  '"%s" is a message',
  async (line) => {
    const mock = await chat(`${line}\n`)
    expect(mock.calls.prompts).toEqual([[{ role: 'user', content: line }]])
  },
)

describe('a message of several lines', () => {
  test.each([
    ['"""one\ntwo"""\n', 'one\ntwo'],
    ['"""\n  one\n\ntwo\n"""\n', '  one\n\ntwo'],
    ['"""alone"""\n', 'alone'],
    ['＂＂＂one\nquit\n””” \n', 'one\nquit'],
    ['"""never closed\n/help\n', 'never closed\n/help'],
  ])('is what is between quotes: %j', async (input, content) => {
    const mock = await chat(input)
    expect(mock.calls.prompts).toEqual([[{ role: 'user', content }]])
    expect(mock.out()).toBe(`${content.trimStart()}\n`)
  })

  test('may be a system message', async () => {
    const mock = await chat('/system """Be kind.\nBe brief."""\na\n')
    expect(mock.calls.prompts[0][0]).toEqual({ role: 'system', content: 'Be kind.\nBe brief.' })
  })
})

describe('what was said', () => {
  test('/undo takes back, one exchange at a time', async () => {
    const mock = await chat('a\nb\n/undo\n/undo\n/undo\nc\n')
    expect(mock.calls.prompts.at(-1)).toEqual([{ role: 'user', content: 'c' }])
    expect(mock.err()).toContain('Taken back: b\nTaken back: a\nThere is nothing to take back.')
  })

  test('/regen answers again, with the next seed and the same history', async () => {
    const mock = mockSurroundings({ input: 'a\nb\n/regen\n/regen\nc\n/regen\n' })
    await command.run({ seed: 5 }, mock)
    expect(mock.calls.options.map(({ seed }) => seed)).toEqual([5, 5, 6, 7, 5, 6])
    expect(mock.calls.prompts[3]).toEqual(mock.calls.prompts[1])
    expect(mock.calls.prompts[5]).toHaveLength(5)
    expect((await chat('/regen\n')).err()).toContain('no message to answer again')
  })

  test('/system sets, shows, and removes the message that opens', async () => {
    const mock = await chat('/system\n/system Be kind.\na\n/system\n/system ""\nb\n')
    expect(mock.out()).toContain('System message: Be kind.')
    expect(mock.calls.prompts[0][0]).toEqual({ role: 'system', content: 'Be kind.' })
    expect(mock.calls.prompts[1]).toHaveLength(3)
  })

  test('a system message for the embedded model, which was taught none, is remarked on', async () => {
    const lines = '/system Be kind.\n/system ""\n'
    const embedded = mockSurroundings({ input: lines, name: 'bitnet-ja-en-58m' })
    await command.run({ system: 'Be brief.' }, embedded)
    const remarks = embedded.err().match(/taught no system messages/g)
    expect(remarks).toHaveLength(2)
    expect((await chat(lines)).err()).not.toContain('taught no system')
  })

  test('an answer that its length has cut is marked', async () => {
    const mock = mockSurroundings({ input: 'one two three\n' })
    await command.run({ maxTokens: 2 }, mock)
    expect(mock.out()).toBe('one two \n')
    expect(mock.err()).toContain('(cut after 2 tokens; /set max-tokens 4 allows more)')
  })

  test.each([
    [undefined, 'cut after 110 tokens'],
    [false, 'the context is full'],
  ])(
    'one as long as the context is cut by its length if old turns go: %s',
    async (contextShift, why) => {
      const mock = mockSurroundings({ input: `${'x '.repeat(120)}\n` })
      await command.run({ maxTokens: 110, ...(contextShift === false && { contextShift }) }, mock)
      expect(mock.err()).toContain(why)
    },
  )

  test('an empty conversation is saved and loaded', async () => {
    const path = join(folder, 'empty.json')
    const mock = await chat(`/save ${path}\n/load "${path}"\na\n`)
    expect(mock.err()).toContain('Saved 0 messages')
    expect(mock.err()).toContain('Loaded 0 messages')
    expect(mock.calls.prompts[0]).toHaveLength(1)
  })

  test('goes on after a path that no system takes', async () => {
    const mock = await chat('/load a\0b\n/save a\0b\nc\n')
    expect(mock.err()).toContain('Not loaded')
    expect(mock.err()).toContain('Not saved')
    expect(mock.out()).toBe('c\n')
  })
})

describe('/set', () => {
  test.each([
    ['temperature 0.5', { temperature: 0.5 }],
    ['top-k 3', { topK: 3 }],
    ['topP=0.5', { topP: 0.5 }],
    ['min_p 0.1', { minP: 0.1 }],
    ['--max-tokens 7', { maxTokens: 7 }],
    ['REPETITION-PENALTY 1.5', { repetitionPenalty: 1.5 }],
    ['frequency-penalty -1', { frequencyPenalty: -1 }],
    ['presence-penalty 1', { presencePenalty: 1 }],
    ['ｓｅｅｄ　４２', { seed: 42 }],
    ['stop "\\n。！"', { stop: ['\n。！'] }],
  ])('takes every option of the flags: %s', async (line, expected) => {
    const mock = await chat(`/set ${line}\na\n`)
    expect(mock.calls.options[0]).toMatchObject(expected)
  })

  test('alone shows them all, with what counts', async () => {
    const mock = mockSurroundings({ input: '/set seed 3\n/set\n' })
    await command.run({ temperature: 0 }, mock)
    for (const { flag } of Object.values(SAMPLING_OPTIONS)) {
      expect(mock.out()).toMatch(new RegExp(`^${/--([a-z-]+)/.exec(flag)?.[1]} `, 'm'))
    }
    expect(mock.out()).toMatch(/^temperature +0$/m)
    expect(mock.out()).toMatch(/^top-p +0.9 \(default\)$/m)
    expect(mock.out()).toMatch(/^seed +3$/m)
  })

  test('gives an option back to the model', async () => {
    const mock = mockSurroundings({ input: '/set temperature default\na\n' })
    await command.run({ temperature: 0 }, mock)
    expect(mock.calls.options[0].temperature).toBeUndefined()
    expect(mock.err()).toContain('temperature is now 0.7 (default).')
  })

  test.each([
    ['temperature hot', 'temperature cannot be hot. Expected a number >= 0.'],
    ['top-p 2', 'Expected a number > 0 and <= 1.'],
    ['warmth 1', 'There is no setting warmth. There are: max-tokens, temperature'],
    ['constructor 1', 'There is no setting constructor'],
    ['temperature', 'Expected a value: /set temperature VALUE'],
    ['=', 'There is no setting =.'],
  ])('explains %s, and changes nothing', async (line, message) => {
    const mock = await chat(`/set ${line}\na\n`)
    expect(mock.err()).toContain(message)
    expect(mock.calls.options[0].temperature).toBeUndefined()
  })
})

describe('/model', () => {
  test('goes on with another model, which has seen the conversation', async () => {
    const mock = await chat('a\n/model other.gguf\nb\n')
    expect(mock.calls.loads.map(({ source }) => source)).toEqual([undefined, 'other.gguf'])
    expect(mock.calls.prompts[1]).toHaveLength(3)
    expect(mock.calls.disposed).toBe(2)
  })

  test('stays with the one there is where the other cannot be loaded', async () => {
    const mock = mockSurroundings({ input: 'a\n/model nowhere\nb\n' })
    const { loadModel } = mock
    const refusing: typeof loadModel = async (source, options) => {
      if (source === 'nowhere') throw new ModelNotFoundError('There is none.', { source })
      return loadModel(source, options)
    }
    expect(await command.run({}, { ...mock, loadModel: refusing })).toBe(0)
    expect(mock.err()).toContain('There is none.\nStill talking: mock-model.')
    expect(mock.calls.prompts[1]).toHaveLength(3)
    expect(mock.calls.disposed).toBe(1)
  })

  test('alone shows what there is', async () => {
    expect((await chat('/model\n')).out()).toMatch(/Now talking: mock-model.*bitnet-2b {2}1\.2 GB/s)
  })
})

test.each([
  [{ LANG: 'ja_JP.UTF-8' }, 'コマンドはありません'],
  [{ LANG: 'ja_JP.UTF-8', LC_ALL: '' }, 'コマンドはありません'],
  [{ LANG: 'java' }, 'There is no command'],
  [{ LANG: 'ja_JP.UTF-8', LC_ALL: 'C' }, 'There is no command'],
  [{ LC_ALL: 'ja' }, 'コマンドはありません'],
])('speaks the language of %o', async (env, expected) => {
  expect((await chat('/x\n', env)).err()).toContain(expected)
})

test('Ctrl-C stops the answer, and leaves when there is none', async () => {
  const mock = mockSurroundings({ delay: 20 })
  const running = command.run({}, mock)
  mock.stdin.write('one two three four five six seven eight\n')
  await new Promise((wake) => setTimeout(wake, 90))
  mock.interrupt()
  await new Promise((wake) => setTimeout(wake, 60))
  expect(mock.out()).toMatch(/^one .*\n$/)
  expect(mock.out()).not.toContain('eight')
  expect(mock.err()).toContain('(stopped)')
  mock.interrupt()
  expect(await running).toBe(0)
})

test('a model without a chat template is refused', async () => {
  const mock = mockSurroundings({ input: 'a\n', chatTemplate: undefined })
  await expect(command.run({}, mock)).rejects.toThrow(UsageError)
  expect(mock.calls.disposed).toBe(1)
})

describe('what would steer a terminal', () => {
  const TITLE = '\u001b]0;owned\u0007\u202e'

  test('is left out of names, messages and errors of files', async () => {
    const path = join(folder, 'hostile.json')
    await writeFile(path, JSON.stringify([{ role: 'system', content: TITLE }]))
    const broken = join(folder, 'broken.json')
    await writeFile(broken, `{${TITLE}`)
    const mock = await chat(`/load ${path}\n/system\n/load ${broken}\n/model ${TITLE}\n`)
    expect(mock.out()).toBe('System message: ]0;owned\n')
    expect(mock.err()).not.toMatch(/[^\P{Cc}\n]|\u202e/u)
  })

  test('is left out of answers on a terminal, and kept in a pipe', async () => {
    expect((await chat(`a${TITLE}\n`)).out()).toContain(`a${TITLE}`)
    const mock = mockSurroundings({ input: `a\t${TITLE}\n` })
    await command.run({}, { ...mock, stdout: Object.assign(mock.stdout, { isTTY: true }) })
    expect(mock.out()).toBe('a\t\ufffd]0;owned\ufffd\ufffd\n')
  })
})

test.each([
  ['en', 'There is none.'],
  ['ja', '「nowhere」というモデルが見つかりません'],
] as const)(
  'a model that cannot be loaded is told of in %s, as wrong usage',
  async (lang, words) => {
    const loadError = new ModelNotFoundError('There is none.', { source: 'nowhere' })
    const running = command.run({ lang }, mockSurroundings({ loadError }))
    await expect(running).rejects.toThrow(words)
    await expect(running).rejects.toBeInstanceOf(ModelNotFoundError)
  },
)
