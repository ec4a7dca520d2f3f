/** Names that the server is called by, pages that ask it, and bodies that take memory. */
import { describe, expect, test } from 'vitest'
import { MockEngine } from '../../test/support/mock-engine.ts'
import { hello, serve } from '../../test/support/mock-server.ts'

const KEYS = [{ key: 'the-key-of-anna-1', name: 'anna' }]
const CHAT = '/v1/chat/completions'

describe('the name a server is called by', () => {
  test.each([
    ['localhost:8080', 200],
    ['LOCALHOST', 200],
    // Nobody can make an address lead elsewhere.
    ['192.168.1.20:8080', 200],
    ['[fe80::1]:8080', 200],
    ['evil.example', 403],
    ['127.0.0.1.evil.example', 403],
    ['localhost.evil.example:8080', 403],
    ['1.2.3', 403],
    ['', 403],
  ])('%s is answered with %i', async (host, status) => {
    const response = await serve().ask('/v1/models', undefined, { headers: { host } })
    expect(response.status).toBe(status)
  })

  test('may be told, and does not matter where there are keys', async () => {
    const headers = { host: 'chat.example' }
    const told = serve({ hosts: ['chat.example'] })
    expect((await told.ask('/v1/models', undefined, { headers })).status).toBe(200)
    const authorization = `Bearer ${KEYS[0].key}`
    const { ask } = serve({ keys: KEYS })
    const asked = await ask('/v1/models', undefined, { headers: { ...headers, authorization } })
    expect(asked.status).toBe(200)
  })
})

describe('a page', () => {
  test.each([
    ['of somebody else', 'https://evil.example', 403],
    ['in a sandbox', 'null', 403],
    ['of the server', 'http://localhost:8080', 200],
    ['of this machine', 'http://127.0.0.1:5173', 200],
    ['of a proxy before the server', 'https://chat.example', 200, 'chat.example'],
  ])('%s keeps it busy: %s %i', async (_, origin, status, host = 'localhost:8080') => {
    const { ask } = serve({ hosts: ['localhost', 'chat.example'] })
    const body = { ...hello, max_tokens: 1 }
    // A form may send this without asking before.
    const headers = { origin, host, 'content-type': 'text/plain' }
    expect((await ask(CHAT, body, { headers })).status).toBe(status)
  })

  test('that may ask is answered, and where there are keys all who have one are', async () => {
    const headers = { origin: 'https://a.example' }
    const body = { ...hello, max_tokens: 1 }
    const told = serve({ origins: ['https://a.example'] })
    expect((await told.ask(CHAT, body, { headers })).status).toBe(200)
    const authorization = `Bearer ${KEYS[0].key}`
    const { ask } = serve({ keys: KEYS })
    expect((await ask(CHAT, body, { headers: { ...headers, authorization } })).status).toBe(200)
  })
})

describe('bodies', () => {
  const long = (letters: number) => ({ prompt: 'x'.repeat(letters), max_tokens: 4000 })

  test('together take no more memory than there is for them', async () => {
    const engine = new MockEngine({ script: () => 97, contextLength: 8192 })
    const { ask } = serve({ limits: { bodyBytes: 1000, allBodyBytes: 1500 } }, engine)
    const stream = await ask('/v1/completions', { ...long(900), stream: true })
    const refused = await ask('/v1/completions', long(900))
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    // One that does not say how long it will be is counted as it comes.
    const pieces = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(100).fill(0x20)),
    })
    const init = { method: 'POST', body: pieces, duplex: 'half' } as RequestInit
    expect((await ask('/v1/completions', undefined, init)).status).toBe(503)
    expect((await ask('/v1/completions', { prompt: 'x', max_tokens: 1 })).status).toBe(200)
    await stream.body?.cancel()
    await expect
      .poll(async () => (await ask('/v1/completions', { ...long(900), max_tokens: 1 })).status)
      .toBe(200)
  })

  test('are given back by requests that are refused', async () => {
    const { ask } = serve({ limits: { bodyBytes: 1000, allBodyBytes: 1500 } })
    const wrong = { ...long(900), temperature: 9 }
    for (let i = 0; i < 3; i++) expect((await ask('/v1/completions', wrong)).status).toBe(400)
  })
})
