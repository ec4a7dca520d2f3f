/** Spans of requests as a collector receives them, over HTTP. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { hello, serve } from '../../../test/support/mock-server.ts'
import { openTelemetry } from './open-telemetry.ts'

const KEYS = ['OTEL_EXPORTER_OTLP_ENDPOINT']
afterEach(() => {
  for (const key of KEYS) delete process.env[key]
})

interface SentSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes: readonly { readonly key: string; readonly value: object }[]
}

/** A collector, and what it was sent. */
async function collector() {
  const bodies: string[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += chunk))
    request.on('end', () => {
      bodies.push(`${request.url} ${body}`)
      response.end('{}')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const stop = () => new Promise((resolve) => server.close(resolve))
  return { url: `http://127.0.0.1:${port}`, bodies, stop }
}

test('a request is a span of whoever asked, with what took its time, and no word of what was said', async () => {
  const { url, bodies, stop } = await collector()
  // The exporter reads the environment by itself.
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = url
  const tracer = await openTelemetry(process.env, '1.2.3')
  if (tracer === undefined) throw new Error('There is no tracer.')
  const { ask } = serve({ tracer })
  const [traceId, parent] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
  const headers = { traceparent: `00-${traceId}-${parent}-01` }
  await ask('/v1/chat/completions', { ...hello, max_tokens: 3 }, { headers })
  await ask('/v1/chat/completions', { ...hello, model: 'nobody' })
  const stream = await ask('/v1/chat/completions', { ...hello, stream: true }, { headers })
  await stream.text()
  await tracer.close()
  await stop()

  expect(bodies.every((body) => body.startsWith('/v1/traces '))).toBe(true)
  const sent = bodies.flatMap((body) => JSON.parse(body.slice(body.indexOf('{'))).resourceSpans)
  const spans: SentSpan[] = sent.flatMap((one) => one.scopeSpans[0].spans)
  const requests = spans.filter(({ name }) => name === 'POST /v1/chat/completions')
  expect(requests.map((span) => [span.traceId === traceId, span.parentSpanId ?? ''])).toEqual([
    [true, parent],
    [false, ''],
    [true, parent],
  ])
  expect(attributesOf(requests[0])).toMatchObject({
    'http.response.status_code': { intValue: 200 },
  })
  expect(attributesOf(requests[1])).toMatchObject({
    'http.response.status_code': { intValue: 404 },
  })
  const parts = spans.filter(({ parentSpanId }) => parentSpanId === requests[0].spanId)
  expect(parts.map(({ name }) => name)).toEqual(['wait', 'generate'])
  expect(attributesOf(parts[1])).toMatchObject({
    'gen_ai.request.model': { stringValue: 'mock' },
    'gen_ai.usage.output_tokens': { intValue: 3 },
    'gen_ai.response.finish_reason': { stringValue: 'length' },
  })
  expect(JSON.stringify(sent[0].resource)).toContain('1.2.3')
  expect(bodies.join('')).not.toMatch(/a short|"hi"/)
})

function attributesOf({ attributes }: SentSpan) {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value]))
}

test.each([
  {},
  { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318', OTEL_SDK_DISABLED: 'true' },
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318', OTEL_TRACES_EXPORTER: 'none' },
])('nothing is traced with %j', async (env) => {
  expect(await openTelemetry(env, '1.2.3')).toBeUndefined()
})
