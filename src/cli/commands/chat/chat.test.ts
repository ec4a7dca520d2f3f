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
import { UsageError } from '../../../errors.ts'
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
    expect(mock.err()).toContain('ENOENT')
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

test.each([
  [{ LANG: 'ja_JP.UTF-8' }, 'コマンドはありません'],
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
