/** What a server tells whoever traces it. Without a tracer all of it is nothing. */

type Attributes = Readonly<Record<string, string | number | boolean>>

/** A part of a request's time. */
export interface Span {
  set(attributes: Attributes): void
  /** A part of this part. */
  begin(name: string, attributes?: Attributes): Span
  /** Once, with what went wrong in it. */
  end(error?: unknown): void
}

/** Where spans go; `bitnet serve` has OpenTelemetry's. No prompt and no answer is ever in one. */
export interface Tracer {
  /** @param traceparent the request's header of that name, which leads to whoever asked */
  begin(name: string, traceparent: string | undefined, attributes: Attributes): Span
}

export const NO_SPAN: Span = {
  set: () => undefined,
  begin: () => NO_SPAN,
  end: () => undefined,
}
