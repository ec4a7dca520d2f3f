/** The description of the routes: each is there, and what is described as a request's body is what is read. */
import { expect, test } from 'vitest'
import { serve } from '../../test/support/mock-server.ts'
import type { BatchStore } from './batch/store.ts'

/** A store that has nothing. */
const NOTHING = {
  ready: async () => undefined,
  files: async () => [],
  batches: async () => [],
  file: async () => undefined,
  content: async () => undefined,
  batch: async () => undefined,
  cancel: async () => undefined,
  close: async () => undefined,
} as unknown as BatchStore

interface Operation {
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> }
  readonly responses: object
}

const describedBy = async (options: object) => {
  const { ask } = serve({ batches: NOTHING, batchLines: 0, ...options })
  const document = await (await ask('/openapi.json')).json()
  return { ask, document }
}

test('every route is described, and every route that is described is there', async () => {
  const { ask, document } = await describedBy({})
  expect(document.openapi).toBe('3.1.0')
  const described: string[] = []
  for (const [path, operations] of Object.entries<Record<string, Operation>>(document.paths)) {
    for (const [method, { requestBody, responses }] of Object.entries(operations)) {
      described.push(`${method} ${path}`)
      expect(responses).toMatchObject({ 200: {}, default: {} })
      const init = { method: method.toUpperCase() }
      const body = requestBody === undefined ? undefined : '[]'
      const at = path.replace('/v1/models/{id}', '/v1/models/mock').replace('{id}', 'x')
      const response = await ask(at, body, init)
      const text = await response.text()
      expect(text).not.toContain('Expected a route')
      expect(response.status).not.toBe(405)
      // What it says of a body that is none of its own has the shape that is described.
      const isJson = requestBody?.content['application/json'] !== undefined
      if (isJson) expect([response.status, text]).toEqual([400, expect.stringContaining('"error"')])
    }
  }
  const work = ['chat/completions', 'completions', 'responses', 'embeddings', 'batches', 'files']
  expect(described).toEqual(
    expect.arrayContaining([
      ...work.map((name) => `post /v1/${name}`),
      ...['chat', 'generate', 'embed'].map((name) => `post /api/${name}`),
      ...['models', 'models/{id}', 'files/{id}/content', 'batches/{id}'].map(
        (at) => `get /v1/${at}`,
      ),
      ...['tags', 'version'].map((name) => `get /api/${name}`),
      ...['healthz', 'readyz', 'metrics'].map((name) => `get /${name}`),
      'delete /v1/files/{id}',
      'post /v1/batches/{id}/cancel',
    ]),
  )
})

test('a key is asked for where there are some', async () => {
  expect((await describedBy({})).document.security).toBeUndefined()
  const keys = [{ key: 'the-key-of-anna-1', name: 'anna' }]
  const { document } = await describedBy({ keys })
  const [[name]] = document.security.map(Object.keys)
  expect(document.components.securitySchemes[name]).toEqual({ type: 'http', scheme: 'bearer' })
})
