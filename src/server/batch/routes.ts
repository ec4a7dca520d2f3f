/** /v1/files and /v1/batches, as OpenAI has them. */
import { Hono } from 'hono'
import { z } from 'zod'
import { isObject, messageOf } from '../../checks.ts'
import { parseJson } from '../../formats/json-text.ts'
import type { AppEnv } from '../app-env.ts'
import { readBytes, readJson } from '../guard.ts'
import { createdNow, newId, parseBody } from '../openai/fields.ts'
import type { LogEntry } from '../options.ts'
import { badRequest, Refusal, refusalOf, refuse } from '../refusal.ts'
import type { Batch, BatchStore, LineFault, NewLine, StoredFile } from './store.ts'

const MOST_FILE_BYTES = 64 << 20
const MOST_LINES = 50_000
const MOST_LINE_MARKS = 1_000_000
const MOST_FILES = 1000
const MOST_FAULTS = 100
const DAY_SECONDS = 24 * 3600

/** Routes whose requests lines may be. */
export const BATCH_ENDPOINTS = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/responses',
  '/v1/embeddings',
] as const

export const batchSchema = z.object({
  input_file_id: z.string().max(200),
  endpoint: z.enum(BATCH_ENDPOINTS),
  completion_window: z.string().regex(/^\d{1,3}h$/),
  metadata: z
    .record(z.string().max(64), z.string().max(512))
    .refine((metadata) => Object.keys(metadata).length <= 16, 'at most 16 entries')
    .nullish(),
})

export interface BatchRoutes {
  readonly store: BatchStore
  readonly bodyBytes: number
  readonly log: (entry: LogEntry) => void
  /** Tells whoever works that there is something to do. */
  wake(): void
}

export function batchRoutes({ store, bodyBytes, log, wake }: BatchRoutes): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.onError((error, c) => {
    const refusal = refusalOf(error)
    if (refusal.status !== 500) return refuse(refusal)
    // Disks that are full and servers that are away are no mistake of ours.
    const requestId = c.get('requestId')
    log({ level: 'error', event: 'queue', requestId, reason: messageOf(error) })
    const message = 'The queue cannot be reached now. Try again later.'
    return refuse(new Refusal(503, 'queue_unavailable', message, { retryAfter: 5 }))
  })
  // Before anything is begun: what is refused is not done later, and asking again does nothing twice.
  for (const path of ['/v1/files/*', '/v1/batches/*']) {
    app.use(path, async (_, next) => {
      await store.ready()
      await next()
    })
  }
  app.post('/v1/files', async (c) => {
    const owner = c.get('holder').name
    if ((await store.files(owner)).length >= MOST_FILES) {
      throw badRequest('file', `Expected at most ${MOST_FILES} files of one key. Delete some.`)
    }
    const { filename, purpose, content } = await readUpload(c.req.raw, c.get('takeBody'))
    const file = { id: newId('file'), filename, purpose, createdAt: createdNow() }
    return c.json(fileBody(await store.addFile(owner, file, content)))
  })
  app.get('/v1/files', async (c) => {
    const files = await store.files(c.get('holder').name)
    return c.json({ object: 'list', data: files.map(fileBody), has_more: false })
  })
  app.get('/v1/files/:id', async (c) => c.json(fileBody(await fileOf(store, c))))
  app.get('/v1/files/:id/content', async (c) => {
    const { id } = await fileOf(store, c)
    const content = (await store.content(c.get('holder').name, id)) ?? new Uint8Array(0)
    return c.body(new Uint8Array(content), 200, { 'content-type': 'application/octet-stream' })
  })
  app.delete('/v1/files/:id', async (c) => {
    const { id } = await fileOf(store, c)
    const deleted = await store.removeFile(c.get('holder').name, id)
    return c.json({ id, object: 'file', deleted })
  })

  app.post('/v1/batches', async (c) => {
    const body = parseBody(
      batchSchema,
      await readJson(c.req.raw, { most: bodyBytes, take: c.get('takeBody') }),
    )
    const made = await addBatch(store, c.get('holder').name, body)
    wake()
    return c.json(batchBody(made))
  })
  app.get('/v1/batches', async (c) => {
    const limit = Math.min(Math.max(Number(c.req.query('limit') ?? 20) || 20, 1), 100)
    const owner = c.get('holder').name
    const found = await store.batches(owner, limit + 1, c.req.query('after'))
    const data = found.slice(0, limit).map(batchBody)
    const ends = { first_id: data.at(0)?.id ?? null, last_id: data.at(-1)?.id ?? null }
    return c.json({ object: 'list', data, ...ends, has_more: found.length > limit })
  })
  app.get('/v1/batches/:id', async (c) => {
    return c.json(batchBody(found(await store.batch(c.get('holder').name, c.req.param('id')))))
  })
  app.post('/v1/batches/:id/cancel', async (c) => {
    const batch = found(await store.cancel(c.get('holder').name, c.req.param('id')))
    wake()
    return c.json(batchBody(batch))
  })
  return app
}

async function fileOf(
  store: BatchStore,
  c: {
    get(name: 'holder'): { readonly name: string }
    readonly req: { param(name: 'id'): string }
  },
): Promise<StoredFile> {
  return found(await store.file(c.get('holder').name, c.req.param('id')))
}

/** @throws Refusal (404), also for what somebody else has */
function found<T>(value: T | undefined): T {
  if (value !== undefined) return value
  throw new Refusal(404, 'not_found', 'Expected the id of a file or batch of this key.')
}

async function readUpload(request: Request, take: (bytes: number) => void) {
  const type = request.headers.get('content-type') ?? ''
  const bytes = await readBytes(request, { most: MOST_FILE_BYTES, take })
  let form: FormData
  try {
    form = await new Response(bytes, { headers: { 'content-type': type } }).formData()
  } catch {
    throw badRequest('file', 'Expected multipart/form-data with a file and its purpose.')
  }
  const [file, purpose] = [form.get('file'), form.get('purpose')]
  if (!(file instanceof File)) throw badRequest('file', 'Expected a file.')
  if (typeof purpose !== 'string' || !/^[\w-]{1,40}$/.test(purpose)) {
    throw badRequest('purpose', 'Expected the purpose of the file, such as "batch".')
  }
  const content = new Uint8Array(await file.arrayBuffer())
  return { filename: file.name.slice(0, 200), purpose, content }
}

/** Makes a batch of a file, or one that has failed by what is wrong with the file. */
export async function addBatch(
  store: BatchStore,
  owner: string,
  body: z.output<typeof batchSchema>,
): Promise<Batch> {
  const { endpoint, input_file_id: inputFile, completion_window: window, metadata } = body
  const content = await store.content(owner, inputFile)
  if (content === undefined) {
    throw badRequest('input_file_id', 'Expected the id of a file of this key.')
  }
  const { lines, faults } = readLines(content, endpoint)
  const createdAt = createdNow()
  const hours = Number.parseInt(window, 10)
  const hasFailed = faults.length > 0
  const batch = {
    id: newId('batch'),
    owner,
    endpoint,
    inputFile,
    window,
    metadata: metadata ?? undefined,
    status: hasFailed ? ('failed' as const) : ('in_progress' as const),
    faults,
    createdAt,
    expiresAt: createdAt + (hours * DAY_SECONDS) / 24,
    endedAt: hasFailed ? createdAt : undefined,
    cancelledAt: undefined,
    outputFile: undefined,
    errorFile: undefined,
  }
  const kept = hasFailed ? [] : lines
  await store.addBatch(batch, kept)
  return { ...batch, counts: { total: kept.length, completed: 0, failed: 0 } }
}

/** Requests, a line each; or what is wrong with them. */
function readLines(content: Uint8Array, endpoint: string) {
  const lines: NewLine[] = []
  const faults: LineFault[] = []
  const ids = new Set<string>()
  let from = 0
  for (let number = 1; from < content.length && faults.length < MOST_FAULTS; number++) {
    const at = content.indexOf(0x0a, from)
    const end = at < 0 ? content.length : at
    const bytes = content.subarray(from, end)
    from = end + 1
    if (bytes.every((byte) => byte <= 0x20)) continue
    const fault = (code: string, message: string) => faults.push({ code, message, line: number })
    let line: unknown
    try {
      line = parseJson(bytes, MOST_LINE_MARKS)
    } catch {
      fault('invalid_json_line', 'Expected an object of JSON a line.')
      continue
    }
    const { custom_id: customId, method, url, body } = isObject(line) ? line : {}
    if (typeof customId !== 'string' || customId === '' || customId.length > 500) {
      fault('invalid_custom_id', 'Expected custom_id to be a text of 1 to 500 characters.')
    } else if (ids.has(customId)) {
      fault('duplicate_custom_id', 'Expected custom_id to be of this line alone.')
    } else if (method !== 'POST' || url !== endpoint) {
      fault('invalid_url', `Expected method "POST" and url "${endpoint}".`)
    } else if (!isObject(body) || body.stream === true) {
      fault('invalid_body', 'Expected body to be an object, without stream.')
    } else {
      ids.add(customId)
      lines.push({ customId, body: JSON.stringify(body) })
    }
    if (lines.length > MOST_LINES) {
      fault('too_many_lines', `Expected at most ${MOST_LINES} lines.`)
      break
    }
  }
  if (lines.length === 0 && faults.length === 0) {
    faults.push({ code: 'empty_file', message: 'Expected at least one line.', line: 1 })
  }
  return { lines, faults }
}

function fileBody({ id, filename, purpose, bytes, createdAt: created_at }: StoredFile) {
  return { id, object: 'file', bytes, created_at, filename, purpose, status: 'processed' }
}

export function batchBody(batch: Batch) {
  const { status, endedAt = null, counts, createdAt } = batch
  const endOf = (name: Batch['status']) => (status === name ? endedAt : null)
  return {
    id: batch.id,
    object: 'batch',
    endpoint: batch.endpoint,
    errors:
      batch.faults.length === 0
        ? null
        : { object: 'list', data: batch.faults.map((fault) => ({ ...fault, param: null })) },
    input_file_id: batch.inputFile,
    completion_window: batch.window,
    status,
    output_file_id: batch.outputFile ?? null,
    error_file_id: batch.errorFile ?? null,
    created_at: createdAt,
    in_progress_at: status === 'failed' ? null : createdAt,
    expires_at: batch.expiresAt,
    finalizing_at: endOf('completed'),
    completed_at: endOf('completed'),
    failed_at: endOf('failed'),
    expired_at: endOf('expired'),
    cancelling_at: batch.cancelledAt ?? null,
    cancelled_at: endOf('cancelled'),
    request_counts: counts,
    metadata: batch.metadata ?? null,
  }
}
