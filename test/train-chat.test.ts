/** The worked example of docs/training.md in small: a text, then conversations, and a chat with what came of them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { bitnet, buildProgram } from './support/built-program.ts'

const folder = mkdtempSync(join(tmpdir(), 'train-chat-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const TALKS = [
  ['Who are you?', 'A small model.'],
  ['Where is the owl?', 'In the forest.'],
  ['Where is the cat?', 'In the house.'],
  ['Good night!', 'Sleep well.'],
] as const

test('a text and a few conversations come to a model that answers in a chat', async () => {
  await buildProgram()
  const path = (name: string) => join(folder, name)
  const places = ['house', 'garden', 'river', 'forest']
  const lines = Array.from({ length: 400 }, (_, i) => `The owl is in the ${places[i % 4]}.`)
  writeFileSync(path('books.txt'), lines.join('\n'))
  const talk = ([user, assistant]: readonly string[]) =>
    JSON.stringify({
      messages: [
        { role: 'user', content: user },
        { role: 'assistant', content: assistant },
      ],
    })
  writeFileSync(
    path('talks.jsonl'),
    `${Array.from({ length: 20 }, () => TALKS.map(talk))
      .flat()
      .join('\n')}\n`,
  )
  const run = async (...args: string[]) => {
    const { code, out, err } = await bitnet(args)
    expect(code, err).toBe(0)
    return out
  }
  const small = ['--batch', '8', '--length', '64', '--sample-every', '0', '--look-every', '0']
  await run('train', '--data', path('books.txt'), '--out', path('run'), '--steps', '30', ...small)
  const init = ['--init', path('run/step-000030')]
  await run(
    'train',
    '--data',
    path('talks.jsonl'),
    '--out',
    path('talk'),
    ...init,
    '--steps',
    '150',
    ...small,
  )
  await run('export', path('talk'), path('talk.gguf'))
  const input = TALKS.map(([question]) => `${question}\n`).join('/reset\n')
  for (const model of [path('talk/step-000150'), path('talk.gguf')]) {
    const chat = await bitnet(['chat', '-m', model, '--temperature', '0'], { input })
    expect(chat.code, chat.err).toBe(0)
    expect(chat.out.split('\n').filter((line) => line !== '')).toEqual(
      TALKS.map(([, answer]) => answer),
    )
  }
})
