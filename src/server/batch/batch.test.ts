/** Files and batches over HTTP, with a queue in a SQLite file and in Redis: every line has one result, whatever happens. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { answers, MockEngine } from '../../../test/support/mock-engine.ts'
import { hello, serve } from '../../../test/support/mock-server.ts'
import { hasRedis, type RedisServer, startRedis } from '../../../test/support/redis.ts'
import { hasSqlite } from '../../../test/support/services.ts'
import { UsageError } from '../../errors.ts'
import { openBatchStore } from '../../node/batch/open-store.ts'
import type { LogEntry } from '../options.ts'
import { BatchRunner } from './runner.ts'
import { type BatchStore, BatchStoreError, type TakenLine } from './store.ts'

const folders: string[] = []
const stores: BatchStore[] = []
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function storeAt(where: string): Promise<BatchStore> {
  const store = await openBatchStore(where)
  stores.push(store)
  return store
}

const lineOf = (i: number, body: object = { messages: [{ role: 'user', content: `hi ${i}` }] }) =>
  JSON.stringify({ custom_id: `line ${i}`, method: 'POST', url: '/v1/chat/completions', body })
const linesOf = (count: number) => Array.from({ length: count }, (_, i) => lineOf(i)).join('\n')

/** A server with batches, and what asks it. */
function open(batches: BatchStore, more: object = {}) {
  const engine = new MockEngine({ script: answers('an answer'), contextLength: 512 })
  const { ask, server } = serve({ batches, ...more }, engine)
  const headers = (key?: string): HeadersInit =>
    key === undefined ? {} : { authorization: `Bearer ${key}` }
  const upload = async (text: string, key?: string) => {
    const body = new FormData()
    body.set('purpose', 'batch')
    body.set('file', new File([text], 'in.jsonl'))
    const { headers: own } = new Request('http://x', { method: 'POST', body })
    const type = own.get('content-type') ?? ''
    const bytes = await new Response(body, { headers: { 'content-type': type } }).arrayBuffer()
    const boundary = /^--(\S+)/.exec(new TextDecoder().decode(bytes))?.[1]
    const sent = { 'content-type': `multipart/form-data; boundary=${boundary}`, ...headers(key) }
    return ask('/v1/files', undefined, { method: 'POST', body: bytes, headers: sent })
  }
  const begin = async (text: string, key?: string) => {
    const { id } = await (await upload(text, key)).json()
    const body = {
      input_file_id: id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata: { for: 'tests' },
    }
    return (await ask('/v1/batches', body, { headers: headers(key) })).json()
  }
  const get = async (path: string, key?: string) => ask(path, undefined, { headers: headers(key) })
  const ended = async (id: string) => {
    await expect
      .poll(async () => (await (await get(`/v1/batches/${id}`)).json()).status, { timeout: 10_000 })
      .not.toBe('in_progress')
    return (await get(`/v1/batches/${id}`)).json()
  }
  const linesIn = async (file: string) =>
    (await (await get(`/v1/files/${file}/content`)).text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  return { ask, server, upload, begin, get, ended, linesIn }
}

const QUEUES = [
  ['a SQLite file', await hasSqlite()],
  ['Redis', hasRedis],
] as const

describe.each(QUEUES)('batches in %s', (name, isThere) => {
  let redis: RedisServer | undefined
  beforeAll(async () => {
    if (isThere && name === 'Redis') redis = await startRedis()
  })
  beforeEach(({ skip }) => {
    if (!isThere) skip('better-sqlite3, or redis-server, is not installed')
  })
  afterAll(() => redis?.stop())
  afterEach(() => redis?.clear())
  const newStore = (path = ':memory:') => storeAt(redis?.url ?? path)

  test('a file of requests becomes a file of answers, in order', async () => {
    const { begin, ended, linesIn } = open(await newStore())
    const begun = await begin(linesOf(30))
    expect(begun).toMatchObject({
      object: 'batch',
      status: 'in_progress',
      metadata: { for: 'tests' },
    })
    const batch = await ended(begun.id)
    expect(batch).toMatchObject({
      status: 'completed',
      error_file_id: null,
      request_counts: { total: 30, completed: 30, failed: 0 },
    })
    const lines = await linesIn(batch.output_file_id)
    expect(lines.map(({ custom_id }) => custom_id)).toEqual(lines.map((_, i) => `line ${i}`))
    expect(lines[7]).toMatchObject({
      error: null,
      response: { status_code: 200, body: { choices: [{ message: { content: 'an answer' } }] } },
    })
    expect(lines[7].response.request_id).toMatch(/^req-/)
  })

  test('lines that cannot be answered are in a file of their own', async () => {
    const { begin, ended, linesIn } = open(await newStore())
    const { id } = await begin([lineOf(1), lineOf(2, { messages: [] }), lineOf(3)].join('\n'))
    const batch = await ended(id)
    expect(batch.request_counts).toEqual({ total: 3, completed: 2, failed: 1 })
    expect(await linesIn(batch.error_file_id)).toMatchObject([
      { custom_id: 'line 2', response: { status_code: 400 } },
    ])
  })

  test.each([
    ['no JSON', 'x', 'invalid_json_line'],
    ['no name', JSON.stringify({ method: 'POST' }), 'invalid_custom_id'],
    ['the name of another', `${lineOf(1)}\n${lineOf(1)}`, 'duplicate_custom_id'],
    ['another route', lineOf(1).replace('chat/', 'other/'), 'invalid_url'],
    ['a stream', lineOf(1, { messages: [], stream: true }), 'invalid_body'],
    ['nothing', '\n\n', 'empty_file'],
  ])('a file with %s fails as a whole, with the line', async (_, text, code) => {
    const { begin } = open(await newStore())
    const batch = await begin(text)
    expect([batch.status, batch.errors.data[0].code]).toEqual(['failed', code])
  })

  test('nobody sees what somebody else has', async () => {
    const keys = [
      { key: 'the-key-of-anna-1', name: 'anna' },
      { key: 'the-key-of-ben-22', name: 'ben' },
    ]
    const { begin, get, ask } = open(await newStore(), { keys })
    const { id, input_file_id: file } = await begin(linesOf(1), 'the-key-of-anna-1')
    for (const path of [`/v1/batches/${id}`, `/v1/files/${file}`, `/v1/files/${file}/content`]) {
      expect((await get(path, 'the-key-of-ben-22')).status).toBe(404)
      expect((await get(path, 'the-key-of-anna-1')).status).toBe(200)
    }
    expect((await (await get('/v1/batches', 'the-key-of-ben-22')).json()).data).toEqual([])
    const headers = { authorization: 'Bearer the-key-of-ben-22' }
    const body = { input_file_id: file, endpoint: '/v1/chat/completions', completion_window: '24h' }
    expect((await ask('/v1/batches', body, { headers })).status).toBe(400)
  })

  test('what is cancelled ends, and its lines say so', async () => {
    const store = await newStore()
    const { begin, ask, ended, linesIn, server } = open(store, { batchLines: 1 })
    server.drain()
    const { id } = await begin(linesOf(4))
    const cancelled = await (await ask(`/v1/batches/${id}/cancel`, {})).json()
    expect(cancelled.status).toBe('cancelling')
    await store.finish()
    const batch = await ended(id)
    expect(batch.status).toBe('cancelled')
    const errors = await linesIn(batch.error_file_id)
    expect(errors.map(({ error }) => error.code)).toEqual(Array(4).fill('batch_cancelled'))
  })

  test('files are listed, read and deleted; an upload that is none is refused', async () => {
    const { upload, get, ask } = open(await newStore())
    const { id, bytes } = await (await upload('hello')).json()
    expect(bytes).toBe(5)
    expect((await (await get('/v1/files')).json()).data).toMatchObject([{ id }])
    const gone = await ask(`/v1/files/${id}`, undefined, { method: 'DELETE' })
    expect(await gone.json()).toMatchObject({ deleted: true })
    expect((await get(`/v1/files/${id}`)).status).toBe(404)
    expect((await ask('/v1/files', { file: 'x' })).status).toBe(400)
  })

  test('workers that come and go leave each line with one result', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bitnet-batch-'))
    folders.push(folder)
    const path = join(folder, 'queue.sqlite')
    const { begin } = open(await newStore(path))
    const first = stores[0]
    const count = 200
    const { id } = await begin(linesOf(count))
    const answered = new Map<string, number>()
    const answer = async ({ customId }: TakenLine) => {
      answered.set(customId, (answered.get(customId) ?? 0) + 1)
      await new Promise((resolve) => setTimeout(resolve, 2))
      return Response.json({ answer: customId })
    }
    const timing = { lease: 0.2, poll: 0.02, backoff: 0.01 }
    const log = () => undefined
    // Some workers die: what they have taken is never settled.
    const dying = await newStore(path)
    for (let i = 0; i < 5; i++) await dying.take(`dead ${i}`, 7, timing.lease)
    const workers = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const store = await newStore(path)
        return new BatchRunner({ store, answer, parallel: 8, log, timing })
      }),
    )
    for (const worker of workers) worker.start()
    await workers[0].stop()
    await expect
      .poll(async () => (await first.batch('anyone', id))?.status, { timeout: 20_000 })
      .toBe('completed')
    for (const worker of workers) await worker.stop()
    const batch = await first.batch('anyone', id)
    const text = new TextDecoder().decode(await first.content('anyone', batch?.outputFile ?? ''))
    const ids = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).custom_id)
    expect(ids).toEqual(Array.from({ length: count }, (_, i) => `line ${i}`))
  })

  test('what fails for a while is tried again, and given up in the end', async () => {
    const store = await newStore()
    const { begin, server, ended, linesIn } = open(store)
    server.drain()
    const { id } = await begin(linesOf(2))
    const tries = new Map<string, number>()
    const answer = async ({ customId, tries: count }: TakenLine) => {
      tries.set(customId, count)
      const isUp = customId === 'line 0' && count === 3
      return Response.json({}, { status: isUp ? 200 : 503 })
    }
    const timing = { lease: 5, poll: 0.01, backoff: 0.005 }
    const runner = new BatchRunner({ store, answer, parallel: 2, log: () => undefined, timing })
    await runner.drain(new AbortController().signal)
    await runner.stop()
    expect(Object.fromEntries(tries)).toEqual({ 'line 0': 3, 'line 1': 5 })
    const batch = await ended(id)
    expect(batch.request_counts).toEqual({ total: 2, completed: 1, failed: 1 })
    expect((await linesIn(batch.error_file_id))[0].response.status_code).toBe(503)
  })

  test('a store that can keep nothing more ends the waiting, and its reason is told', async () => {
    const full = new BatchStoreError('Cannot keep batches in q: database or disk is full.')
    const store = await newStore()
    const { begin, server } = open(store)
    server.drain()
    await begin(linesOf(2))
    vi.spyOn(store, 'settle').mockRejectedValue(full)
    vi.spyOn(store, 'postpone').mockRejectedValue(full)
    const answer = async () => Response.json({})
    const timing = { lease: 60, poll: 0.01, backoff: 0.005 }
    const logged: object[] = []
    const log = (entry: object) => void logged.push(entry)
    const runner = new BatchRunner({ store, answer, parallel: 2, log, timing })
    await expect(runner.drain(new AbortController().signal)).rejects.toBe(full)
    await runner.stop()
    expect(logged).toContainEqual(expect.objectContaining({ reason: full.message }))
  })
})

describe.skipIf(!hasRedis)('a Redis that goes away', () => {
  test('is told with 503 at once; chats go on, and every line has one result when it is back', async () => {
    const redis = await startRedis()
    try {
      const logged: LogEntry[] = []
      const log = (entry: LogEntry) => void logged.push(entry)
      const store = await storeAt(redis.url)
      const { ask, upload, begin, get, ended, linesIn } = open(store, { log, batchLease: 2 })
      const { id } = await begin(linesOf(300))
      await expect
        .poll(
          async () => (await (await get(`/v1/batches/${id}`)).json()).request_counts.completed,
          { timeout: 10_000 },
        )
        .toBeGreaterThan(20)
      await redis.kill()

      const began = performance.now()
      const body = {
        input_file_id: 'file-x',
        endpoint: '/v1/chat/completions',
        completion_window: '24h',
      }
      const refused = await Promise.all([
        upload('hello'),
        get('/v1/files'),
        get('/v1/files/file-x/content'),
        ask('/v1/files/file-x', undefined, { method: 'DELETE' }),
        ask('/v1/batches', body),
        get('/v1/batches'),
        get(`/v1/batches/${id}`),
        ask(`/v1/batches/${id}/cancel`, {}),
      ])
      expect(performance.now() - began).toBeLessThan(2500)
      for (const response of refused) {
        expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
        expect(await response.json()).toEqual({
          error: {
            message: 'The queue cannot be reached now. Try again later.',
            type: 'server_error',
            param: null,
            code: 'queue_unavailable',
          },
        })
      }
      const chat = await ask('/v1/chat/completions', hello)
      expect((await chat.json()).choices[0].message.content).toBe('an answer')
      expect((await get('/readyz')).status).toBe(200)
      expect(logged).toContainEqual(expect.objectContaining({ event: 'queue' }))

      await redis.revive()
      await expect.poll(async () => (await get('/v1/batches')).status, { timeout: 5000 }).toBe(200)
      const batch = await ended(id)
      expect(batch.request_counts).toEqual({ total: 300, completed: 300, failed: 0 })
      const ids = (await linesIn(batch.output_file_id)).map(({ custom_id }) => custom_id)
      expect(ids).toEqual(Array.from({ length: 300 }, (_, i) => `line ${i}`))
      // What was refused was not done.
      const { data } = await (await get('/v1/batches')).json()
      expect(data.map((one: { id: string }) => one.id)).toEqual([id])
      expect((await (await get('/v1/files')).json()).data).toHaveLength(2)
    } finally {
      await redis.stop()
    }
  }, 60_000)

  test('keeps no server that is to stop', async () => {
    const redis = await startRedis()
    const store = await storeAt(redis.url)
    const { begin, server } = open(store)
    await begin(linesOf(100))
    await redis.stop()
    const began = performance.now()
    server.drain()
    await server.close()
    await store.close()
    expect(performance.now() - began).toBeLessThan(5000)
  }, 20_000)
})

describe.skipIf(!(await hasSqlite()))('a file of SQLite', () => {
  let path = ''
  beforeEach(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bitnet-batch-'))
    folders.push(folder)
    path = join(folder, 'data.sqlite')
  })
  async function change(sql: string): Promise<void> {
    const { default: Sqlite } = await import('better-sqlite3')
    const database = new Sqlite(path)
    database.exec(sql)
    database.close()
  }

  test('of another program is refused, and not a byte of it changes', async () => {
    await change('CREATE TABLE moz_places (url TEXT); INSERT INTO moz_places VALUES (1)')
    const before = await readFile(path)
    await expect(openBatchStore(path)).rejects.toThrow(UsageError)
    await expect(openBatchStore(path)).rejects.toThrow('another program keeps its data there')
    expect(await readFile(path)).toEqual(before)
  })

  test('that is damaged under way is named', async () => {
    const store = await storeAt(path)
    await change('DROP TABLE lines')
    await expect(store.take('worker', 1, 60)).rejects.toThrow(BatchStoreError)
    await expect(store.take('worker', 1, 60)).rejects.toThrow(`batches in ${path}: no such table`)
    await expect(store.files('anyone')).resolves.toEqual([])
  })
})
