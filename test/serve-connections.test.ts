/** Clients that keep connections and give nothing, or take nothing: each is let go, and nothing of it is left. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  type Listening,
  type ListenOptions,
  listen,
  type Served,
} from '../src/node/server/listen.ts'
import { createBitnetServer } from '../src/server/app.ts'
import type { ServerLimits } from '../src/server/options.ts'
import { MockEngine } from './support/mock-engine.ts'
import { mockModel } from './support/mock-model.ts'

const running: Listening[] = []
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const one of running.splice(0)) await one.stop(0)
})

type Patience = NonNullable<ListenOptions['patience']>

/** @returns what connects and sends `text` */
async function opened(app: Served, patience: Patience) {
  const listening = await listen(app, { host: '127.0.0.1', port: 0, patience })
  running.push(listening)
  const { port } = new URL(listening.url)
  return async (text: string) => {
    const socket = connect({ port: Number(port), host: '127.0.0.1' })
    sockets.push(socket)
    await once(socket, 'connect')
    socket.on('error', () => undefined)
    socket.write(text)
    return socket
  }
}

async function open(patience: Patience, limits: ServerLimits = {}) {
  const engine = new MockEngine({ script: () => 97, contextLength: 16_000 })
  const load = async () => mockModel(engine, { defaults: { temperature: 0 } })
  const app = createBitnetServer({ models: [{ id: 'mock', load }], limits })
  return { app, engine, send: await opened(app, patience) }
}

const post = (path: string, body: string, length = Buffer.byteLength(body)): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${body}`

async function textUntilClosed(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk) => (text += chunk))
  socket.resume()
  await once(socket, 'close')
  return text
}

describe('a writer', () => {
  test('that does not end its headers is let go', async () => {
    const { send } = await open({ headers: 100, request: 5000 })
    const began = performance.now()
    const text = await textUntilClosed(await send('POST /v1/completions HTTP/1.1\r\nhost: loc'))
    expect(text).toMatch(/^HTTP\/1.1 408/)
    expect(performance.now() - began).toBeLessThan(2000)
  })

  test('that sends its body a byte at a time is let go', async () => {
    const { send, app } = await open({ headers: 100, request: 300 })
    const socket = await send(post('/v1/completions', '{', 1000))
    const drip = setInterval(() => socket.write(' '), 20)
    const text = await textUntilClosed(socket)
    clearInterval(drip)
    expect(text).toMatch(/^HTTP\/1.1 (408|400)/)
    expect(app.busy).toBe(0)
  })
})

describe('a reader', () => {
  test('that takes nothing of an answer given at once is let go', async () => {
    // More than any system's buffers hold.
    const fetch = async () => new Response(new Uint8Array(64 << 20))
    const app = { fetch, busy: 0, drain: () => undefined, close: async () => undefined }
    const send = await opened(app, { reading: 200 })
    const socket = await send('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
    socket.pause()
    await sleep(1000)
    expect((await textUntilClosed(socket)).length).toBeLessThan(64 << 20)
  })

  test('that takes nothing of a stream ends its generation', async () => {
    const { send, app, engine } = await open({ reading: 60_000 }, { stallSeconds: 0.3 })
    const messages = [{ role: 'user', content: 'hi' }]
    const printed = vi.spyOn(console, 'error')
    // Long pieces, so that the system's buffers are full soon.
    const body = { messages, stream: true, logprobs: true, top_logprobs: 20 }
    const socket = await send(post('/v1/chat/completions', JSON.stringify(body)))
    socket.pause()
    await expect.poll(() => engine.passes.length).toBeGreaterThan(10)
    expect(app.busy).toBe(1)
    await expect.poll(() => app.busy, { timeout: 20_000 }).toBe(0)
    const passes = engine.passes.length
    expect(passes).toBeLessThan(15_000)
    const text = await textUntilClosed(socket)
    expect(text).not.toContain('[DONE]')
    expect(text).not.toContain('Error')
    expect(printed).not.toHaveBeenCalled()
    await sleep(100)
    expect(engine.passes.length).toBe(passes)
  })

  test('that waits for an answer which takes its time is left alone', async () => {
    const { send, engine } = await open({ reading: 100 })
    engine.beforePass = () => sleep(400)
    const body = JSON.stringify({ prompt: 'a', max_tokens: 2 })
    const socket = await send(
      post('/v1/completions', body).replace('\r\n', '\r\nconnection: close\r\n'),
    )
    expect(await textUntilClosed(socket)).toContain('"text":"aa"')
  })
})

describe('a client that goes away', () => {
  test.each([true, false])('ends its answer within a pass, streamed: %s', async (stream) => {
    const { send, app, engine } = await open({})
    engine.beforePass = () => sleep(20)
    const body = { prompt: 'a', max_tokens: 5000, stream }
    const socket = await send(post('/v1/completions', JSON.stringify(body)))
    await expect.poll(() => engine.passes.length).toBeGreaterThan(3)
    socket.destroy()
    await expect.poll(() => app.busy, { interval: 5 }).toBe(0)
    const passes = engine.passes.length
    await sleep(200)
    // The one that was under way.
    expect(engine.passes.length - passes).toBeLessThanOrEqual(1)
  })
})
