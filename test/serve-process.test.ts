/** `bitnet serve` as a process of its own, as an image starts it: the embedded model, many at once, and its end. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  buildProgram,
  hasEmbeddedModel,
  type Started,
  startBitnet,
} from './support/built-program.ts'
import { eventsOf } from './support/mock-server.ts'
import { freePort } from './support/services.ts'

const KEY = 'a-key-of-the-tests'
const QUESTIONS = ['What is snow?', 'Name a river.', '日本の首都は？', 'Tell me of the moon.']

describe.skipIf(!hasEmbeddedModel())('a server that may write nothing', () => {
  let folder: string
  let server: Started
  let url: string

  beforeAll(async () => {
    await buildProgram()
    folder = await mkdtemp(join(tmpdir(), 'bitnet-serve-'))
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    // Nobody can make anything below a file.
    const env = { HOME: '/dev/null', TMPDIR: '/dev/null', BITNET_API_KEYS: KEY }
    const args = ['serve', '--host', '0.0.0.0', '--port', String(port), '--log', 'info']
    server = startBitnet(args, { env, cwd: folder })
    await server.waitFor('OpenAI')
  }, 120_000)

  afterAll(async () => {
    server?.child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })

  const ask = (body: object, key = KEY) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ temperature: 0, max_tokens: 24, ...body }),
    })
  const messages = (content: string) => [{ role: 'user', content }]
  async function streamed(content: string, more: object = {}): Promise<string> {
    const events = await eventsOf(await ask({ messages: messages(content), stream: true, ...more }))
    expect(events.at(-1)).toBe('[DONE]')
    const chunks = events.slice(0, -1).map((data) => JSON.parse(data))
    return chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
  }

  test('has its key from the environment, and takes no other', async () => {
    expect((await ask({ messages: messages('hi') }, 'a-key-of-strangers')).status).toBe(401)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  test('says to each of many what it says to one alone', async () => {
    const alone: string[] = []
    for (const question of QUESTIONS) alone.push(await streamed(question))
    expect(new Set(alone).size).toBe(QUESTIONS.length)
    // A draw has the same text again, too.
    const drawn = { temperature: 1, seed: 3 }
    const drawnAlone = await streamed(QUESTIONS[0], drawn)
    const together = await Promise.all([
      ...[...QUESTIONS, ...QUESTIONS, ...QUESTIONS].map((question) => streamed(question)),
      streamed(QUESTIONS[0], drawn),
    ])
    expect(together).toEqual([...alone, ...alone, ...alone, drawnAlone])
  }, 60_000)

  test('finds the beginning of a conversation in its cache', async () => {
    const body = { messages: messages('snow '.repeat(300)), max_tokens: 1 }
    const cached = async () =>
      (await (await ask(body)).json()).usage.prompt_tokens_details.cached_tokens
    await cached()
    expect(await cached()).toBeGreaterThan(250)
  }, 60_000)

  test('finishes what it says at SIGTERM, takes nothing new, and has written nothing', async () => {
    const response = await ask({
      messages: messages('Tell me of bees.'),
      stream: true,
      max_tokens: 400,
    })
    server.child.kill('SIGTERM')
    await expect
      .poll(async () =>
        fetch(`${url}/readyz`).then(
          ({ status }) => status,
          () => 503,
        ),
      )
      .toBe(503)
    expect((await eventsOf(response)).at(-1)).toBe('[DONE]')
    const { code, signal, err } = await server.outcome
    expect([code, signal]).toEqual([0, null])
    const lines = err.split('\n').filter((line) => line.startsWith('{'))
    expect(lines.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ msg: 'request', requestId: expect.stringMatching(/^req-/) }),
    )
    expect(err).not.toContain('bees')
    expect(await readdir(folder)).toEqual([])
  }, 60_000)
})
