/**
 * Two replicas behind HAProxy, as examples/serving/haproxy.cfg has them: conversations stay where they began, other
 * requests go where there are fewest, and a replica that stops or is lost takes no request with it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Listening, listen } from '../src/node/server/listen.ts'
import { createBitnetServer } from '../src/server/app.ts'
import { ROOT } from './support/built-program.ts'
import { MockEngine } from './support/mock-engine.ts'
import { mockModel } from './support/mock-model.ts'
import { freePort, hasService, SERVICES } from './support/services.ts'

const CONFIG = join(ROOT, 'examples', 'serving', 'haproxy.cfg')
const folder = await mkdtemp(join(tmpdir(), 'bitnet-haproxy-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

interface Replica {
  readonly port: number
  /** Paths that it has answered. */
  readonly answered: string[]
  stop(patienceMs: number): Promise<void>
}

let replicas: Replica[]
let proxy: ChildProcess
let url: string
/** Whether streams are to come to their end. */
let isOver: boolean

async function openReplica(): Promise<Replica> {
  const answered: string[] = []
  const script = () => (isOver ? 257 : 97)
  const engine = new MockEngine({ script, contextLength: 100_000 })
  // As fast as a model, and not as a mock.
  engine.beforePass = () => sleep(2)
  const app = createBitnetServer({
    models: [{ id: 'mock', load: async () => mockModel(engine, { defaults: { temperature: 0 } }) }],
    hosts: ['*'],
    log: ({ event, route }) => {
      if (event === 'request' && !String(route).startsWith('/readyz')) answered.push(String(route))
    },
  })
  const listening: Listening = await listen(app, { host: '127.0.0.1', port: 0 })
  let stopped: Promise<void> | undefined
  const stop = (patienceMs: number) => (stopped ??= listening.stop(patienceMs))
  return { port: Number(new URL(listening.url).port), answered, stop }
}

async function configFor(port: number): Promise<string> {
  const text = (await readFile(CONFIG, 'utf8'))
    .replace('127.0.0.1:8000', `127.0.0.1:${port}`)
    .replaceAll('10.0.0.11:8080', `127.0.0.1:${replicas[0].port}`)
    .replaceAll('10.0.0.12:8080', `127.0.0.1:${replicas[1].port}`)
  const path = join(folder, `${port}.cfg`)
  await writeFile(path, text)
  return path
}

const post = (path: string, body: object) =>
  fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
const embed = () => post('/v1/embeddings', { input: 'a' })
const countOf = (route: string) =>
  replicas.map(({ answered }) => answered.filter((one) => one === route).length)

describe.skipIf(!hasService('haproxy'))('HAProxy (where it is installed)', () => {
  beforeEach(async () => {
    isOver = false
    replicas = [await openReplica(), await openReplica()]
    const port = await freePort()
    const path = await configFor(port)
    expect(spawnSync(SERVICES.haproxy, ['-c', '-f', path], { encoding: 'utf8' }).stderr).toBe('')
    proxy = spawn(SERVICES.haproxy, ['-db', '-f', path], { stdio: 'ignore' })
    url = `http://127.0.0.1:${port}`
    await expect
      .poll(
        () =>
          fetch(`${url}/v1/models`).then(
            ({ status }) => status,
            () => 0,
          ),
        { timeout: 10_000 },
      )
      .toBe(200)
    // Both have been looked at by then.
    await sleep(1500)
    for (const { answered } of replicas) answered.splice(0)
  })

  afterEach(async () => {
    const ended = once(proxy, 'exit')
    proxy.kill('SIGKILL')
    await ended
    for (const replica of replicas) await replica.stop(0)
  })

  test('keeps the turns of a conversation at one replica, and conversations at both', async () => {
    const CONVERSATIONS = 12
    const TURNS = 3
    const talk = async (i: number) => {
      const messages = [
        { role: 'system', content: 'You are kind.' },
        { role: 'user', content: `question ${i}` },
      ]
      for (let turn = 0; turn < TURNS; turn++) {
        const response = await post('/v1/chat/completions', { messages, max_tokens: 2 })
        const { choices } = await response.json()
        messages.push(choices[0].message, { role: 'user', content: `and ${turn}` })
      }
    }
    // One after another: the replica that has a conversation's beginning is never the busier one.
    for (const i of Array(CONVERSATIONS).keys()) await talk(i)
    const [one, two] = countOf('/v1/chat/completions')
    expect([one % TURNS, two % TURNS, one + two]).toEqual([0, 0, CONVERSATIONS * TURNS])
    expect(Math.min(one, two)).toBeGreaterThan(0)
  })

  test('keeps a replica that is too busy to answer its probe at once', async () => {
    const isAnswered = embed()
    // Each is asked once a second, and neither answers now.
    const until = performance.now() + 3000
    while (performance.now() < until);
    expect((await isAnswered).status).toBe(200)
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async () => (await embed()).status),
    )
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(countOf('/v1/embeddings').reduce((a, b) => a + b)).toBe(21)
    expect(Math.min(...countOf('/v1/embeddings'))).toBeGreaterThan(0)
  })

  test('sends other requests where there are fewest', async () => {
    const streams = await Promise.all(
      Array.from({ length: 6 }, () =>
        post('/v1/completions', { prompt: 'a', stream: true, max_tokens: 5000 }),
      ),
    )
    isOver = true
    await Promise.all(streams.map((stream) => stream.text()))
    expect(countOf('/v1/completions')).toEqual([3, 3])
  })

  test('lets a replica stop: what it answers is finished, and nothing is refused meanwhile', async () => {
    const streams = await Promise.all(
      Array.from({ length: 6 }, () =>
        post('/v1/completions', { prompt: 'a', stream: true, max_tokens: 5000 }),
      ),
    )
    const stopped = replicas[0].stop(60_000)
    const statuses: number[] = []
    for (let i = 0; i < 40; i++) {
      statuses.push((await embed()).status)
      await sleep(20)
    }
    expect(new Set(statuses)).toEqual(new Set([200]))
    isOver = true
    const texts = await Promise.all(streams.map((stream) => stream.text()))
    expect(texts.every((text) => text.endsWith('data: [DONE]\n\n'))).toBe(true)
    await stopped
    expect((await embed()).status).toBe(200)
  })

  test('sends requests on when a replica is lost', async () => {
    await replicas[1].stop(0)
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async () => (await embed()).status),
    )
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(countOf('/v1/embeddings')).toEqual([20, 0])
  })

  test("keeps each replica's own figures to those who reach it", async () => {
    for (const path of ['/metrics', '/healthz', '/readyz']) {
      expect((await fetch(url + path)).status).toBe(404)
    }
  })
})
