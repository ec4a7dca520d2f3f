/**
 * The server, from a Request to a Response: OpenAI's routes, Ollama's, and those for whoever runs it. It listens
 * to nothing by itself; src/node/server/ does.
 */

import type { Context } from 'hono'
import { Hono } from 'hono'
import { messageOf } from '../checks.ts'
import type { AppEnv, Connection } from './app-env.ts'
import { batchRoutes } from './batch/routes.ts'
import { BatchRunner } from './batch/runner.ts'
import type { TakenLine } from './batch/store.ts'
import { Desk, type Visit } from './desk.ts'
import { checkHost, checkOrigin, crossOriginHeaders, readJson } from './guard.ts'
import { Admission } from './limits/admission.ts'
import { KeyRing } from './limits/api-keys.ts'
import { BodyRoom } from './limits/body-room.ts'
import { Metrics } from './metrics.ts'
import { ModelShelf } from './model-shelf.ts'
import { chat, generate } from './ollama/generation.ts'
import { embed, tags } from './ollama/models.ts'
import { openApi } from './open-api.ts'
import { chatCompletion } from './openai/chat-completions.ts'
import { completion } from './openai/completions.ts'
import { embeddings, modelEntry, modelList } from './openai/embeddings.ts'
import { response } from './openai/responses.ts'
import { resolveLimits, type ServerOptions } from './options.ts'
import { Refusal, refusalOf, refuse } from './refusal.ts'
import { NO_SPAN } from './tracing.ts'

export interface BitnetServer {
  /**
   * Answers a request; rejects never.
   *
   * @param connection what ends where a stream has to break off; unset: its body fails
   */
  fetch(request: Request, connection?: Connection): Promise<Response>
  /** What `/metrics` says, without a key: for a place that only those reach who may know. */
  figures(): Promise<Response>
  /** Requests that are worked on or wait. */
  readonly busy: number
  /** From now on new requests are refused (503) and `/readyz` says so. */
  drain(): void
  /** Works on batches until nothing of them is left to do, or `goesOn` says no more. */
  drainBatches(signal: AbortSignal, goesOn?: () => Promise<boolean>): Promise<void>
  /** Frees the models; what still runs ends as cancelled. */
  close(): Promise<void>
}

type Work = (desk: Desk, visit: Visit, body: unknown) => Promise<Response>

/** Routes that compute, by their paths. */
const WORK: Readonly<Record<string, Work>> = {
  '/v1/chat/completions': chatCompletion,
  '/v1/completions': completion,
  '/v1/responses': response,
  '/v1/embeddings': embeddings,
  '/api/chat': chat,
  '/api/generate': generate,
  '/api/embed': embed,
}

/** Of nginx: the client has closed the request. Nobody reads it but the log. */
const CLIENT_CLOSED = 499
/** Lines of batches at a time, and how far they stand behind other requests. */
const BATCH_LINES = 8
const BATCH_PRIORITY = -1_000_000

export function createBitnetServer(options: ServerOptions): BitnetServer {
  const limits = resolveLimits(options.limits)
  const { origins = [], log = () => undefined, tracer } = options
  const shelf = new ModelShelf(options.models, limits.loadedModels, options.anyModel)
  const admission = new Admission(limits)
  const keys = new KeyRing(options.keys ?? [])
  const bodies = new BodyRoom(limits.allBodyBytes)
  const metrics = new Metrics(() => ({
    active: admission.active,
    waiting: admission.waiting,
    loadedModels: shelf.loaded.length,
    models: shelf.ready,
    batchLines: runner?.left ?? 0,
  }))
  const { logsContent = false } = options
  const desk = new Desk({ shelf, admission, metrics, limits, log, logsContent })
  const startedAt = new Date()
  const created = Math.floor(startedAt.getTime() / 1000)
  let isDraining = false

  const app = new Hono<AppEnv>()
  app.use(async (c, next) => {
    const requestId = `req-${crypto.randomUUID()}`
    c.set('requestId', requestId)
    c.set('beganAt', performance.now())
    const { method } = c.req
    const route = routeOf(c.req.path)
    const facts = { 'http.request.method': method, 'http.route': route, 'request.id': requestId }
    const span = tracer?.begin(`${method} ${route}`, c.req.header('traceparent'), facts) ?? NO_SPAN
    c.set('span', span)
    const body = bodies.open()
    c.set('takeBody', body.take)
    const cors = crossOriginHeaders(c.req.header('origin'), origins)
    if (c.req.method === 'OPTIONS') c.res = new Response(null, { status: 204 })
    else await next()
    c.header('x-request-id', requestId)
    for (const [name, value] of Object.entries(cors)) c.header(name, value)
    const { status } = c.res
    const record = (): void => {
      body.giveBack()
      const ms = performance.now() - c.get('beganAt')
      metrics.request(route, status, ms / 1000)
      log({ level: 'info', event: 'request', requestId, method, route, status, ms })
      span.set({ 'http.response.status_code': status })
      span.end(status >= 500 ? `status ${status}` : undefined)
    }
    const ended = c.get('ended')
    if (ended === undefined) record()
    else void ended.then(record)
  })
  app.use(async (c, next) => {
    if (keys.isOpen) {
      const host = c.req.header('host')
      checkHost(host, options.hosts)
      if (c.req.method !== 'GET') checkOrigin(c.req.header('origin'), host, origins)
    }
    await next()
  })

  app.get('/healthz', (c) => c.text('ok'))
  app.get('/readyz', (c) => (isDraining ? c.text('draining', 503) : c.text('ready')))
  app.get('/openapi.json', (c) => c.json(openApi(shelf.ids, !keys.isOpen)))
  const { page } = options
  if (page !== undefined) app.get('/', (c) => c.html(page))

  app.use(async (c, next) => {
    c.set('holder', await keys.holderOf(c.req.header('authorization')))
    await next()
  })
  const figures = async (): Promise<Response> => {
    const { type, body } = await metrics.text()
    return new Response(body, { headers: { 'content-type': type } })
  }
  app.get('/metrics', figures)
  app.get('/v1/models', (c) => c.json(modelList(shelf.ids, created)))
  app.get('/v1/models/:id{.+}', (c) => c.json(modelEntry(shelf.idOf(c.req.param('id')), created)))
  app.get('/api/tags', (c) => c.json(tags(shelf.ids, startedAt)))
  app.get('/api/version', (c) => c.json({ version: options.version ?? 'unknown' }))
  const { batches, batchLines = BATCH_LINES, batchLease } = options
  const runner =
    batches &&
    new BatchRunner({
      store: batches,
      parallel: batchLines,
      ...(batchLease === undefined ? {} : { timing: { lease: batchLease } }),
      log,
      async answer(line, signal) {
        const requestId = `req-${crypto.randomUUID()}`
        try {
          const body: unknown = JSON.parse(line.body)
          const answered = await WORK[line.endpoint](desk, lineVisit(line, requestId, signal), body)
          answered.headers.set('x-request-id', requestId)
          return answered
        } catch (error) {
          return refuse(refusalOf(error))
        }
      },
    })
  runner?.start()
  if (batches !== undefined) {
    const wake = () => runner?.wake()
    app.route('/', batchRoutes({ store: batches, bodyBytes: limits.bodyBytes, log, wake }))
  } else {
    for (const path of ['/v1/files/*', '/v1/batches/*']) {
      app.all(path, () => {
        const message =
          'Expected a server that keeps batches: bitnet serve --queue WHERE, or with the package better-sqlite3 ' +
          'installed beside this one.'
        throw new Refusal(404, 'no_batches', message)
      })
    }
  }
  const bounds = (c: Context<AppEnv>) => ({ most: limits.bodyBytes, take: c.get('takeBody') })
  for (const [path, work] of Object.entries(WORK)) {
    app.post(path, async (c) => {
      if (isDraining)
        throw new Refusal(503, 'stopping', 'The server is about to stop.', { retryAfter: 10 })
      return work(desk, visitOf(c), await readJson(c.req.raw, bounds(c)))
    })
    app.all(path, () => {
      throw new Refusal(405, 'method_not_allowed', `Expected POST for ${path}.`)
    })
  }
  app.notFound((c) => {
    const message = `Expected a route of this server, got ${c.req.path.slice(0, 100)}. See /openapi.json.`
    return refuse(new Refusal(404, 'not_found', message), c.req.path)
  })
  app.onError((error, c) => {
    if (c.req.raw.signal.aborted) return new Response(null, { status: CLIENT_CLOSED })
    const refusal = refusalOf(error)
    if (refusal.status >= 500) {
      const requestId = c.get('requestId')
      log({ level: 'error', event: 'failure', requestId, reason: messageOf(error) })
    }
    return refuse(refusal, c.req.path)
  })

  return {
    figures,
    fetch: async (request, connection) => app.fetch(request, { connection }),
    get busy() {
      return admission.active + admission.waiting
    },
    drain() {
      isDraining = true
      void runner?.stop()
    },
    async drainBatches(signal, goesOn) {
      await runner?.drain(signal, goesOn)
    },
    async close() {
      await runner?.stop()
      await shelf.close()
    },
  }
}

/** A line of a batch: whoever waits for an answer goes before it. */
function lineVisit({ owner }: TakenLine, requestId: string, signal: AbortSignal): Visit {
  return {
    requestId,
    key: `batches of ${owner}`,
    client: `batches of ${owner}`,
    priority: BATCH_PRIORITY,
    beganAt: performance.now(),
    span: NO_SPAN,
    signal,
    lastsUntil: () => undefined,
  }
}

function visitOf(c: Context<AppEnv>): Visit {
  const { signal } = c.req.raw
  const { name, client, priority } = c.get('holder')
  return {
    requestId: c.get('requestId'),
    key: name,
    client,
    priority,
    beganAt: c.get('beganAt'),
    span: c.get('span'),
    signal,
    breakOff: c.env.connection?.end,
    lastsUntil: (end) => c.set('ended', end),
  }
}

/** Paths as figures and logs have them: those of ours, and one word for all others. */
function routeOf(path: string): string {
  const group = ['/v1/models', '/v1/files', '/v1/batches'].find((one) => path.startsWith(one))
  if (group !== undefined) return group
  const known = [
    '/',
    '/healthz',
    '/readyz',
    '/metrics',
    '/openapi.json',
    '/api/tags',
    '/api/version',
  ]
  return path in WORK || known.includes(path) ? path : 'other'
}
