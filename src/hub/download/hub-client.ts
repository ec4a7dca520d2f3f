/**
 * Requests to the hub and to other servers: redirects followed by hand, and the token, which goes to the
 * hub alone. A redirect leads to a storage server of somebody else, whose address is signed; a token
 * sent there would be a secret given away.
 */
import { BitnetError, DownloadError } from '../../errors.ts'
import { memorySink } from '../../formats/byte-sink.ts'
import { MAX_JSON_MARKS, parseJson } from '../../formats/json-text.ts'
import { explainStatus, type Refusal } from '../explain-answer.ts'
import { isPassing, type Pace, readRetryAfter, sleep, strangersPace, waitMs } from './patience.ts'

const MAX_REDIRECTS = 8
/** A page of the hub's file list has 1,000 entries of some hundred bytes. */
const MAX_JSON_BYTES = 8 << 20

/** Codes of connections that there were. */
const BROKEN_OFF: ReadonlySet<unknown> = new Set([
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
])

/** Sends one request. Redirects are handed out as answers where the surroundings let them be seen. */
export type WebFetch = (
  url: URL,
  init: {
    readonly redirect: 'manual'
    readonly headers: Readonly<Record<string, string>>
    readonly signal?: AbortSignal
  },
) => Promise<WebResponse>

/** What is used of a Response, whoever made it. */
export interface WebResponse {
  readonly status: number
  readonly headers: Iterable<[string, string]> & { get(name: string): string | null }
  readonly body: {
    getReader(): Pick<ReadableStreamDefaultReader<Uint8Array>, 'read' | 'cancel'>
    cancel(): Promise<void>
  } | null
}

/** Of which hub, and as whom. */
export interface HubAccess {
  /** Without a slash at the end. */
  readonly endpoint: string
  readonly token: string | undefined
}

export interface HubAnswer {
  readonly response: WebResponse
  /** `X-Linked-Etag` of the hub's own redirect: the hash of the file's content. */
  readonly linkedTag: string | undefined
}

/** What no further attempt changes. */
export class FinalError extends Error {}

/** An answer that is none of those that were asked for; its body has been thrown away. */
export class RefusedError extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(`The server answered ${refusal.status}.`)
    this.name = 'RefusedError'
    this.refusal = refusal
  }
}

export class HubClient<Access extends HubAccess = HubAccess> {
  readonly access: Access
  readonly #pace: Pace
  readonly #fetch: WebFetch
  /** Origins that have answered. */
  readonly #known = new Set<string>()
  /** Of requests that did not get as far as a server that is known. */
  readonly #unmet = new WeakSet<object>()

  constructor(access: Access, pace: Pace, fetch: WebFetch) {
    this.access = access
    this.#pace = pace
    this.#fetch = fetch
  }

  /**
   * One GET request, with redirects followed.
   *
   * @throws RefusedError for a status other than 200 and 206, or what the network threw
   */
  async request(
    address: string,
    signal: AbortSignal | undefined,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HubAnswer> {
    let url = new URL(address)
    let linkedTag: string | undefined
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await this.#send(url, { ...this.#authorization(url), ...headers }, signal)
      linkedTag ??= tagText(response.headers.get('X-Linked-Etag'))
      if (response.status === 200 || response.status === 206) return { response, linkedTag }
      await response.body?.cancel()
      const location = response.headers.get('Location')
      const isRedirect = response.status >= 301 && response.status <= 308 && location !== null
      if (!isRedirect) throw refused(response, url)
      url = followed(location, url)
    }
    throw new DownloadError(
      `Expected ${address} to lead to a file, but it was redirected more than ${MAX_REDIRECTS} times.`,
      { url: address },
    )
  }

  /**
   * A JSON document, tried again after failures that may pass.
   *
   * @throws RefusedError | DownloadError
   */
  json(address: string, signal?: AbortSignal): Promise<{ value: unknown; link: string | null }> {
    return this.persist(address, signal, async () => {
      const { response } = await this.request(address, signal)
      const bytes = await readBounded(response, address, MAX_JSON_BYTES)
      return {
        value: jsonFrom(bytes, address),
        link: response.headers.get('Link'),
      }
    })
  }

  /**
   * What `attempt` gives, which is made again after failures that may pass. It says when something
   * arrived: failures are counted from there.
   *
   * @throws the last failure in plain words, or one that does not pass as it is; the signal's reason
   */
  async persist<T>(
    address: string,
    signal: AbortSignal | undefined,
    attempt: (arrived: () => void) => Promise<T>,
  ): Promise<T> {
    const began = performance.now()
    for (let failures = 1; ; failures++) {
      try {
        return await attempt(() => {
          failures = 1
        })
      } catch (error) {
        signal?.throwIfAborted()
        if (error instanceof FinalError || error instanceof BitnetError) throw error
        const refusal = error instanceof RefusedError ? error.refusal : undefined
        if (refusal !== undefined && !isPassing(refusal.status)) throw error
        const isUnmet = error instanceof Error && this.#unmet.has(error)
        const pace = isUnmet ? strangersPace(this.#pace, performance.now() - began) : this.#pace
        const wait = waitMs(pace, failures, refusal?.retryAfterMs)
        if (wait === undefined) {
          throw refusal ? explainStatus(refusal) : unreachable(error, address)
        }
        await sleep(wait, signal)
      }
    }
  }

  async #send(
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<WebResponse> {
    try {
      const init = { redirect: 'manual', headers, ...(signal ? { signal } : {}) } as const
      const response = await this.#fetch(url, init)
      this.#known.add(url.origin)
      return response
    } catch (error) {
      if (error instanceof Error && !this.#known.has(url.origin)) {
        const { code } = reasonOf(error) as { code?: unknown }
        if (!BROKEN_OFF.has(code)) this.#unmet.add(error)
      }
      throw error
    }
  }

  #authorization(url: URL): Record<string, string> {
    const { token, endpoint } = this.access
    const isHub = url.origin === new URL(endpoint).origin
    return token !== undefined && isHub ? { Authorization: `Bearer ${token}` } : {}
  }
}

/** An entity tag without quotes and weakness mark. */
export function tagText(header: string | null): string | undefined {
  return header === null ? undefined : header.replace(/^W\//, '').replace(/^"|"$/g, '')
}

function followed(location: string, from: URL): URL {
  const base = from.href
  const target = URL.canParse(location, base) ? new URL(location, base) : undefined
  const isWeb = target?.protocol === 'http:' || target?.protocol === 'https:'
  const isDowngrade = from.protocol === 'https:' && target?.protocol === 'http:'
  if (target !== undefined && isWeb && !isDowngrade) return target
  throw new DownloadError(
    `Expected ${base} to redirect to another web address as safe as itself, got ` +
      `"${location.slice(0, 100)}".`,
    { url: base },
  )
}

function refused(response: WebResponse, url: URL): RefusedError {
  const header = (name: string) => response.headers.get(name)
  return new RefusedError({
    status: response.status,
    url: `${url.origin}${url.pathname}`,
    code: header('X-Error-Code'),
    message: header('X-Error-Message'),
    retryAfterMs: readRetryAfter(header('Retry-After')),
  })
}

/** A body's pieces as they come; whoever stops early gives the rest up. */
export async function* bodyChunks({ body }: WebResponse): AsyncGenerator<Uint8Array> {
  // Not every browser lets a stream be iterated.
  const reader = body?.getReader()
  if (reader === undefined) return
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done || value === undefined) return
      yield value
    }
  } finally {
    await reader.cancel()
  }
}

/** @throws DownloadError, with the hint, if the body has more than `limit` bytes; the rest is not read */
export async function readBounded(
  response: WebResponse,
  address: string,
  limit: number,
  hint = '',
): Promise<Uint8Array<ArrayBuffer>> {
  const sink = memorySink()
  let size = 0
  for await (const part of bodyChunks(response)) {
    size += part.length
    if (size > limit) {
      throw new DownloadError(
        `Expected at most ${limit} bytes from ${address}, which is what was asked for, but the ` +
          `server sends more.${hint}`,
        { url: address },
      )
    }
    await sink.write(part)
  }
  return sink.bytes()
}

function jsonFrom(bytes: Uint8Array, address: string): unknown {
  try {
    return parseJson(bytes, MAX_JSON_MARKS)
  } catch (cause) {
    throw new DownloadError(
      `Expected JSON from ${address}, got something else. Something other than the hub may be ` +
        'answering there; check HF_ENDPOINT and the proxy.',
      { url: address, cause },
    )
  }
}

/** fetch hides the system's reason behind "fetch failed". */
function reasonOf(error: Error): Error {
  return error.cause instanceof Error ? error.cause : error
}

function unreachable(error: unknown, url: string): DownloadError {
  const cause = error instanceof Error ? reasonOf(error) : error
  const reason = cause instanceof Error ? cause.message || cause.name : String(cause)
  return new DownloadError(
    `Fetching ${url} failed: ${reason}. Check the network, and the ` +
      'proxy if there is one (HTTPS_PROXY). What has been fetched is kept.',
    { url, cause: error },
  )
}
