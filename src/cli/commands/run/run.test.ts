/** `run` in the manner of ollama, with a model that echoes. */
import { openSync } from 'node:fs'
import { expect, test } from 'vitest'
import { mockSurroundings } from '../../../../test/support/mock-language-model.ts'
import { UsageError } from '../../../errors.ts'
import { isFed } from '../../flags/prompt-flags.ts'
import { command } from './run.ts'

test('words after the model are one question, put through its template', async () => {
  const mock = mockSurroundings()
  expect(await command.run({}, mock, 'm.gguf', ['why', 'not'])).toBe(0)
  expect(mock.calls.loads[0].source).toBe('m.gguf')
  expect(mock.calls.prompts).toEqual([[{ role: 'user', content: 'why not' }]])
  expect(mock.out()).toBe('why not\n')
})

test('a model without a template continues the text', async () => {
  const mock = mockSurroundings({ chatTemplate: undefined })
  await command.run({}, mock, 'm', ['Once'])
  expect(mock.calls.prompts).toEqual(['Once'])
})

test('without words, what is piped is the question', async () => {
  const mock = mockSurroundings({ input: 'a question\n' })
  await command.run({ system: 'Be kind.' }, mock, 'm', [])
  expect(mock.calls.prompts).toEqual([
    [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'a question' },
    ],
  ])
})

test('on a terminal it is a conversation', async () => {
  const mock = mockSurroundings({ input: 'hello\n' })
  const stdin = Object.assign(mock.stdin, { isTTY: true })
  expect(await command.run({}, { ...mock, stdin }, 'm', [])).toBe(0)
  expect(mock.calls.loads[0].source).toBe('m')
  expect(mock.calls.prompts).toEqual([[{ role: 'user', content: 'hello' }]])
})

test('nothing at all is wrong usage, and no model is loaded for it', async () => {
  const mock = mockSurroundings({ input: '' })
  await expect(command.run({}, mock, 'm', [])).rejects.toThrow(UsageError)
  expect(mock.calls.loads).toEqual([])
})

test('a file or a pipe is read beside the words, what merely is open is not', () => {
  const stdin = (fd: number) => Object.assign(mockSurroundings().stdin, { fd })
  expect(isFed(stdin(openSync(new URL(import.meta.url), 'r')))).toBe(true)
  expect(isFed(stdin(openSync('/dev/null', 'r')))).toBe(false)
  expect(isFed(mockSurroundings().stdin)).toBe(false)
})
