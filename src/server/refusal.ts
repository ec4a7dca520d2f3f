/**
 * What a client is told when it gets no answer: a status, and a body in OpenAI's shape or Ollama's.
 */
import { BitnetError, ContextOverflowError, ModelNotFoundError, UsageError } from '../errors.ts'

/** OpenAI's `type` of errors by status. */
const TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'invalid_request_error',
  405: 'invalid_request_error',
  413: 'invalid_request_error',
  429: 'rate_limit_error',
}

/** A request that is not answered, for a reason that its sender may know. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  /** The field of the request at fault. */
  readonly param: string | undefined
  /** Seconds after which asking again makes sense. */
  readonly retryAfter: number | undefined

  constructor(
    status: number,
    code: string,
    message: string,
    facts: { param?: string | undefined; retryAfter?: number } = {},
  ) {
    super(message)
    this.status = status
    this.code = code
    this.param = facts.param
    this.retryAfter = facts.retryAfter
  }
}

/** Refuses a field of a request. */
export function badRequest(param: string, message: string, code = 'invalid_value'): Refusal {
  return new Refusal(400, code, message, { param })
}

/**
 * What any failure means for a client. Of mistakes of our own it learns nothing but that there was one: their
 * messages may hold paths.
 */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (error instanceof ContextOverflowError) {
    return new Refusal(400, 'context_length_exceeded', error.message, { param: 'messages' })
  }
  if (error instanceof ModelNotFoundError) return new Refusal(404, 'model_not_found', error.message)
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new Refusal(
      503,
      'timeout',
      'No answer began within the time of a request. Try again later.',
      {
        retryAfter: 5,
      },
    )
  }
  if (error instanceof UsageError) return new Refusal(400, 'invalid_value', error.message)
  if (error instanceof BitnetError && error.code === 'BACKEND') {
    return new Refusal(503, 'unavailable', 'The model cannot answer now. Try again later.', {
      retryAfter: 5,
    })
  }
  return new Refusal(500, 'internal_error', 'The server failed. Its log says why.')
}

/** https://platform.openai.com/docs/guides/error-codes */
function errorBody({ status, code, message, param }: Refusal) {
  return {
    error: { message, type: TYPES[status] ?? 'server_error', param: param ?? null, code },
  }
}

/** @param path of the request: each dialect has errors of its own shape */
export function refuse(refusal: Refusal, path = ''): Response {
  const headers: Record<string, string> = {}
  if (refusal.retryAfter !== undefined) headers['retry-after'] = String(refusal.retryAfter)
  if (refusal.status === 401) headers['www-authenticate'] = 'Bearer'
  const isOllama = path.startsWith('/api/')
  const body = isOllama ? { error: refusal.message } : errorBody(refusal)
  return Response.json(body, { status: refusal.status, headers })
}
