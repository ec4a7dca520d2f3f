/**
 * What is looked at before a request is: the name it calls the server by, the page it comes from, and how long
 * it is.
 */
import { messageOf } from '../checks.ts'
import { parseJson } from '../formats/json-text.ts'
import { Refusal } from './refusal.ts'

const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '[::1]']
/** An address in place of a name. */
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[\da-f:.]+\])$/

/**
 * Addresses are always right: names alone can be made to lead elsewhere.
 *
 * @param host the Host header
 * @param allowed names without a port; unset: those of this machine to itself
 * @throws Refusal (403) if the server is called by another name
 */
export function checkHost(host: string | undefined, allowed: readonly string[] = LOOPBACK): void {
  const name = (host ?? '').replace(/:\d{1,5}$/, '').toLowerCase()
  if (allowed.includes('*') || allowed.includes(name) || ADDRESS.test(name)) return
  throw new Refusal(
    403,
    'host_not_allowed',
    `Expected to be called ${allowed.join(' or ')}, got another Host. Whoever runs the server can allow it ` +
      'with --allow-host, or set keys.',
  )
}

/**
 * What a page of another origin cannot read it may still send, and keep the server busy with. Pages of this machine
 * are no strangers.
 *
 * @param origin the Origin header, which browsers alone send
 * @param allowed origins, or "*"
 * @throws Refusal (403) for a page of somebody else
 */
export function checkOrigin(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): void {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return
  const of = URL.canParse(origin) ? new URL(origin) : undefined
  if (of !== undefined && (of.host === host || LOOPBACK.includes(of.hostname))) return
  throw new Refusal(
    403,
    'origin_not_allowed',
    'Expected a page of this server, got one of another origin. Whoever runs the server can allow it with --cors.',
  )
}

/** Headers that let a page of `origin` read an answer; none if it may not. */
export function crossOriginHeaders(
  origin: string | undefined,
  allowed: readonly string[],
): Record<string, string> {
  if (origin === undefined || allowed.length === 0) return {}
  const isAllowed = allowed.includes('*') || allowed.includes(origin)
  if (!isAllowed) return {}
  return {
    'access-control-allow-origin': allowed.includes('*') ? '*' : origin,
    'access-control-allow-headers': 'authorization, content-type',
    'access-control-allow-methods': 'GET, POST, OPTIONS',
    'access-control-max-age': '600',
    vary: 'origin',
  }
}

/** Values and names of a body: long conversations have thousands. */
const MOST_MARKS = 1_000_000

/** What a request's body may take. */
export interface BodyBounds {
  /** Bytes, at most. */
  readonly most: number
  /** Takes memory for so many. @throws Refusal (503) where others have it all */
  take(bytes: number): void
}

/**
 * A request's body as JSON.
 *
 * @throws Refusal: 413 if it is too long, 400 if it is no JSON, 503 if there is no memory for it now
 */
export async function readJson(request: Request, bounds: BodyBounds): Promise<unknown> {
  const bytes = await readBytes(request, bounds)
  try {
    return parseJson(bytes, MOST_MARKS)
  } catch (error) {
    throw new Refusal(400, 'invalid_json', `Expected ${messageOf(error)}.`)
  }
}

/** A request's body. @throws Refusal: 413 if it is too long, 503 if there is no memory for it now */
export async function readBytes(
  request: Request,
  { most, take }: BodyBounds,
): Promise<Uint8Array<ArrayBuffer>> {
  const declared = Number(request.headers.get('content-length') ?? Number.NaN)
  if (declared > most) throw tooLong(most)
  // HTTP takes no more than was declared: there is nothing to count, and no stream to be made for it.
  if (declared >= 0) {
    take(declared)
    return new Uint8Array(await request.arrayBuffer())
  }
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = request.body?.getReader()
  for (;;) {
    const chunk = (await reader?.read())?.value
    if (chunk === undefined) break
    length += chunk.byteLength
    try {
      if (length > most) throw tooLong(most)
      take(chunk.byteLength)
    } catch (error) {
      // What is still to come is not read.
      reader?.cancel().catch(() => undefined)
      throw error
    }
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

function tooLong(bodyBytes: number): Refusal {
  return new Refusal(
    413,
    'body_too_long',
    `Expected a body of at most ${bodyBytes} bytes, got more.`,
  )
}
