/**
 * The server, from a Request to a Response: OpenAI's routes, Ollama's, and those for whoever runs it. It listens
 * to nothing by itself; src/node/server/ does.
 */

import type { Context } from 'hono'
import { Hono } from 'hono'
import { messageOf } from '../checks.ts'
import { Desk, type Visit } from './desk.ts'
import { checkHost, crossOriginHeaders, readJson } from './guard.ts'
import { Admission } from './limits/admission.ts'
import { KeyRing } from './limits/api-keys.ts'
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

export interface BitnetServer {
  /** Answers a request; rejects never. */
  fetch(request: Request): Promise<Response>
  /** Requests that are worked on or wait. */
  readonly busy: number
  /** From now on new requests are refused (503) and `/readyz` says so. */
  drain(): void
  /** Frees the models; what still runs ends as cancelled. */
  close(): Promise<void>
}

type Env = { Variables: { requestId: string; key: string; beganAt: number } }
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

export function createBitnetServer(options: ServerOptions): BitnetServer {
  const limits = resolveLimits(options.limits)
  const { origins = [], log = () => undefined } = options
  const shelf = new ModelShelf(options.models, limits.loadedModels)
  const admission = new Admission(limits)
  const keys = new KeyRing(options.keys ?? [])
  const metrics = new Metrics(() => ({
    active: admission.active,
    waiting: admission.waiting,
    loadedModels: shelf.loaded.length,
  }))
  const desk = new Desk({ shelf, admission, metrics, limits, log })
  const startedAt = new Date()
  const created = Math.floor(startedAt.getTime() / 1000)
  let isDraining = false

  const app = new Hono<Env>()
  app.use(async (c, next) => {
    const requestId = `req-${crypto.randomUUID()}`
    c.set('requestId', requestId)
    c.set('beganAt', performance.now())
    const cors = crossOriginHeaders(c.req.header('origin'), origins)
    if (c.req.method === 'OPTIONS') c.res = new Response(null, { status: 204 })
    else await next()
    c.header('x-request-id', requestId)
    for (const [name, value] of Object.entries(cors)) c.header(name, value)
    const seconds = (performance.now() - c.get('beganAt')) / 1000
    const { method } = c.req
    const { status } = c.res
    const route = routeOf(c.req.path)
    metrics.request(route, status, seconds)
    log({ level: 'info', event: 'request', requestId, method, route, status, ms: seconds * 1000 })
  })
  app.use(async (c, next) => {
    if (keys.isOpen) checkHost(c.req.header('host'), options.hosts)
    await next()
  })

  app.get('/healthz', (c) => c.text('ok'))
  app.get('/readyz', (c) => (isDraining ? c.text('draining', 503) : c.text('ready')))
  app.get('/openapi.json', (c) => c.json(openApi(shelf.ids)))
  const { page } = options
  if (page !== undefined) app.get('/', (c) => c.html(page))

  app.use(async (c, next) => {
    c.set('key', await keys.nameOf(c.req.header('authorization')))
    await next()
  })
  app.get('/metrics', async (c) => {
    const { type, body } = await metrics.text()
    return c.text(body, 200, { 'content-type': type })
  })
  app.get('/v1/models', (c) => c.json(modelList(shelf.ids, created)))
  app.get('/v1/models/:id{.+}', (c) => c.json(modelEntry(shelf.idOf(c.req.param('id')), created)))
  app.get('/api/tags', (c) => c.json(tags(shelf.ids, startedAt)))
  app.get('/api/version', (c) => c.json({ version: '0.0.0-bitnet-ts' }))
  for (const [path, work] of Object.entries(WORK)) {
    app.post(path, async (c) => {
      if (isDraining)
        throw new Refusal(503, 'stopping', 'The server is about to stop.', { retryAfter: 10 })
      return work(desk, visitOf(c), await readJson(c.req.raw, limits.bodyBytes))
    })
    app.all(path, () => {
      throw new Refusal(405, 'method_not_allowed', `Expected POST for ${path}.`)
    })
  }
  app.notFound((c) => {
    const message = `Expected a route of this server, got ${c.req.path.slice(0, 100)}. See /openapi.json.`
    return refuse(new Refusal(404, 'not_found', message))
  })
  app.onError((error, c) => {
    if (c.req.raw.signal.aborted) return new Response(null, { status: CLIENT_CLOSED })
    const refusal = refusalOf(error)
    if (refusal.status >= 500) {
      const requestId = c.get('requestId')
      log({ level: 'error', event: 'failure', requestId, reason: messageOf(error) })
    }
    return refuse(refusal)
  })

  return {
    fetch: async (request) => app.fetch(request),
    get busy() {
      return admission.active + admission.waiting
    },
    drain() {
      isDraining = true
    },
    close: () => shelf.close(),
  }
}

function visitOf(c: Context<Env>): Visit {
  const { signal } = c.req.raw
  return {
    requestId: c.get('requestId'),
    key: c.get('key'),
    beganAt: c.get('beganAt'),
    signal,
  }
}

/** Paths as figures and logs have them: those of ours, and one word for all others. */
function routeOf(path: string): string {
  if (path.startsWith('/v1/models')) return '/v1/models'
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
