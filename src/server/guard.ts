/**
 * What is looked at before a request is: the name it calls the server by, the page it comes from, and how long
 * it is.
 */
import { messageOf } from '../checks.ts'
import { parseJson } from '../formats/json-text.ts'
import { Refusal } from './refusal.ts'

const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/**
 * @param host the Host header
 * @param allowed names without a port; unset: those of this machine to itself
 * @throws Refusal (403) if the server is called by another name
 */
export function checkHost(host: string | undefined, allowed: readonly string[] = LOOPBACK): void {
  const name = (host ?? '').replace(/:\d{1,5}$/, '').toLowerCase()
  if (allowed.includes('*') || allowed.includes(name)) return
  throw new Refusal(
    403,
    'host_not_allowed',
    `Expected to be called ${allowed.join(' or ')}, got another Host. Whoever runs the server can allow it ` +
      'with --allow-host, or set keys.',
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

/**
 * A request's body as JSON.
 *
 * @throws Refusal: 413 if it is too long, 400 if it is no JSON
 */
export async function readJson(request: Request, bodyBytes: number): Promise<unknown> {
  const bytes = await readBytes(request, bodyBytes)
  try {
    return parseJson(bytes, MOST_MARKS)
  } catch (error) {
    throw new Refusal(400, 'invalid_json', `Expected ${messageOf(error)}.`)
  }
}

/** A request's body. @throws Refusal (413) if it is too long */
export async function readBytes(
  request: Request,
  bodyBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const declared = Number(request.headers.get('content-length') ?? Number.NaN)
  if (declared > bodyBytes) throw tooLong(bodyBytes)
  // HTTP takes no more than was declared: there is nothing to count, and no stream to be made for it.
  if (declared >= 0) return new Uint8Array(await request.arrayBuffer())
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = request.body?.getReader()
  for (;;) {
    const chunk = (await reader?.read())?.value
    if (chunk === undefined) break
    length += chunk.byteLength
    if (length > bodyBytes) {
      // What is still to come is not read.
      reader?.cancel().catch(() => undefined)
      throw tooLong(bodyBytes)
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
