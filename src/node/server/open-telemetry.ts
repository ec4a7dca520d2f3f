/** Spans of a server as OpenTelemetry has them, sent by OTLP over HTTP. Needs its packages, which only this needs. */
import type { Span as OpenSpan } from '@opentelemetry/api'
import { messageOf } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import type { Span, Tracer } from '../../server/tracing.ts'

export interface Telemetry extends Tracer {
  /** Sends what is left. */
  close(): Promise<void>
}

const ENDPOINTS = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']
const PACKAGES = ['api', 'resources', 'sdk-trace-base', 'exporter-trace-otlp-http@0.223'].map(
  (name) => `@opentelemetry/${name}`,
)
const PARENT = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})/

/**
 * @param env OTEL_EXPORTER_OTLP_ENDPOINT says where to; its exporter reads what else begins with OTEL_EXPORTER_OTLP
 * @returns undefined where nothing is configured
 * @throws UsageError if the packages are not there
 */
export async function openTelemetry(
  env: Readonly<Record<string, string | undefined>>,
  version: string,
): Promise<Telemetry | undefined> {
  const isOff = env.OTEL_SDK_DISABLED === 'true' || env.OTEL_TRACES_EXPORTER === 'none'
  if (isOff || !ENDPOINTS.some((name) => env[name])) return undefined
  const [api, resources, sdk, exporter] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-http'),
  ]).catch(() => {
    throw new UsageError(
      'Expected the packages of OpenTelemetry, as OTEL_EXPORTER_OTLP_ENDPOINT is set. Install them beside this ' +
        `one: npm install ${PACKAGES.join(' ')}`,
    )
  })
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = api
  const provider = new sdk.BasicTracerProvider({
    spanProcessors: [new sdk.BatchSpanProcessor(new exporter.OTLPTraceExporter())],
    resource: resources.resourceFromAttributes({
      'service.name': env.OTEL_SERVICE_NAME ?? 'bitnet',
      'service.version': version,
    }),
  })
  const tracer = provider.getTracer('bitnet-ts', version)
  const wrapped = (span: OpenSpan): Span => ({
    set: (attributes) => void span.setAttributes(attributes),
    begin: (name, attributes = {}) =>
      wrapped(tracer.startSpan(name, { attributes }, trace.setSpan(ROOT_CONTEXT, span))),
    end: (error) => {
      if (error !== undefined) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) })
      }
      span.end()
    },
  })
  /** Whoever asked, by the header that says so. */
  const contextOf = (traceparent: string) => {
    const [, traceId, spanId, flags] = PARENT.exec(traceparent) ?? []
    if (traceId === undefined) return ROOT_CONTEXT
    const traceFlags = Number.parseInt(flags, 16)
    return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true })
  }
  return {
    begin(name, traceparent, attributes) {
      const options = { kind: SpanKind.SERVER, attributes }
      return wrapped(tracer.startSpan(name, options, contextOf(traceparent ?? '')))
    },
    close: () => provider.shutdown(),
  }
}
