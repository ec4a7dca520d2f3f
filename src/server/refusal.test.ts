/** What is refused, with which status, and what its sender is told. */
import { describe, expect, test } from 'vitest'
import { hello, serve } from '../../test/support/mock-server.ts'

describe('what is refused', () => {
  test.each([
    [
      'no model of that name',
      '/v1/chat/completions',
      { ...hello, model: 'x' },
      404,
      'model_not_found',
    ],
    ['no messages', '/v1/chat/completions', { messages: [] }, 400, 'invalid_value'],
    [
      'a temperature out of range',
      '/v1/chat/completions',
      { ...hello, temperature: 3 },
      400,
      'invalid_value',
    ],
    ['no JSON', '/v1/chat/completions', '{', 400, 'invalid_json'],
    [
      'a schema that nothing holds the answer to',
      '/v1/chat/completions',
      { ...hello, response_format: { type: 'json_schema', json_schema: { schema: { not: {} } } } },
      400,
      'invalid_value',
    ],
    ['tools', '/v1/chat/completions', { ...hello, tools: [{}] }, 400, 'invalid_value'],
    [
      'a prompt beyond the context',
      '/v1/completions',
      { prompt: 'x'.repeat(500) },
      400,
      'context_length_exceeded',
    ],
    [
      'a body that is too long',
      '/v1/completions',
      { prompt: 'x'.repeat(5000) },
      413,
      'body_too_long',
    ],
    ['a path that is none', '/v1/other', hello, 404, 'not_found'],
  ])('%s', async (_, path, body, status, code) => {
    const { ask } = serve({ limits: { bodyBytes: 4000 } })
    const response = await ask(path, body)
    expect(response.status).toBe(status)
    expect((await response.json()).error).toMatchObject({
      code,
      message: expect.stringMatching(/^Expected/),
    })
  })

  test('the same in a stream, before anything is said', async () => {
    const { ask } = serve()
    const response = await ask('/v1/completions', { prompt: 'x'.repeat(500), stream: true })
    expect(response.status).toBe(400)
  })

  test('bytes that are no UTF-8', async () => {
    const { ask } = serve()
    const body = Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)
    const response = await ask('/v1/chat/completions', undefined, { method: 'POST', body })
    expect(response.status).toBe(400)
  })

  test.each([
    [
      'messages.0.content.0.type',
      '/v1/chat/completions',
      { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
    ],
    ['prompt.0', '/v1/completions', { prompt: [1, 2] }],
    ['input.0.role', '/v1/responses', { input: [{ role: 'nobody', content: 'hi' }] }],
  ])(
    'what may be one thing or another, by what is wrong with it: %s',
    async (param, path, body) => {
      const { error } = await (await serve().ask(path, body)).json()
      expect(error).toMatchObject({ param, message: expect.stringContaining('expected') })
    },
  )

  test('batches where the server keeps none, with the flag that makes it keep some', async () => {
    for (const path of ['/v1/files', '/v1/batches', '/v1/files/file-1/content']) {
      const response = await serve().ask(path)
      expect(response.status).toBe(404)
      expect((await response.json()).error.message).toContain('--queue')
    }
  })

  test('in the dialect of Ollama, with errors of its shape', async () => {
    for (const [path, body] of [
      ['/api/chat', {}],
      ['/api/chat', '{'],
      ['/api/nothing', {}],
    ] as const) {
      const { error } = await (await serve().ask(path, body)).json()
      expect(error).toMatch(/^Expected/)
    }
  })

  test('names that lead out of a folder, wherever one may be given', async () => {
    const { ask } = serve()
    for (const name of [
      '../../etc/passwd',
      '/etc/passwd',
      'file:///etc/passwd',
      'mock\0',
      '__proto__',
    ]) {
      const at = encodeURIComponent(name)
      for (const response of [
        await ask('/v1/chat/completions', { ...hello, model: name }),
        await ask('/api/chat', { ...hello, model: name }),
        await ask(`/v1/models/${at}`),
        await ask(`/${at}`),
      ]) {
        expect(response.status).toBe(404)
        expect(await response.text()).not.toContain('root:')
      }
    }
  })

  test('another method than POST', async () => {
    const { ask } = serve()
    expect((await ask('/v1/chat/completions')).status).toBe(405)
  })

  test('whoever has no key, where there are keys', async () => {
    const { ask } = serve({ keys: [{ key: 'secret-of-somebody', name: 'somebody' }] })
    const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })
    expect((await ask('/v1/models')).status).toBe(401)
    expect((await ask('/v1/models', undefined, bearer('secret-of-nobody!'))).status).toBe(401)
    expect((await ask('/v1/models', undefined, bearer('secret-of-somebody'))).status).toBe(200)
    expect((await ask('/healthz')).status).toBe(200)
    expect((await ask('/metrics')).status).toBe(401)
  })

  test('a name that is not the server’s, where there are no keys', async () => {
    const { ask } = serve()
    expect((await ask('/v1/models', undefined, { headers: { host: 'evil.example' } })).status).toBe(
      403,
    )
    expect((await ask('/v1/models', undefined, { headers: { host: '127.0.0.1:9' } })).status).toBe(
      200,
    )
  })

  test('pages of other origins read nothing unless they may', async () => {
    const origin = { headers: { origin: 'https://a.example' } }
    const closed = await serve().ask('/v1/models', undefined, origin)
    expect(closed.headers.get('access-control-allow-origin')).toBeNull()
    const open = await serve({ origins: ['https://a.example'] }).ask(
      '/v1/models',
      undefined,
      origin,
    )
    expect(open.headers.get('access-control-allow-origin')).toBe('https://a.example')
  })
})
