/**
 * Bytes of a file on a server, read with range requests: in blocks, of which a few are kept and the
 * next one is fetched ahead, so that a model streams in without ever being in memory as a whole.
 */
import { messageOf } from '../checks.ts'
import { BitnetError, FormatError, ModelNotFoundError } from '../errors.ts'
import { checkRange } from '../formats/memory-source.ts'
import type { ByteSource } from '../formats/model-file.ts'
import { blobSource } from './blob-source.ts'
import { contentCoding, readContentRange } from './content-range.ts'

/** Long enough that the time to the first byte does not matter, short enough to keep a few. */
export const RANGE_BYTES = 4 << 20
/** The block being read, the next one, and two for readers at other places. */
const KEPT_BLOCKS = 4

export interface RangeSourceOptions {
  readonly signal?: AbortSignal | undefined
  /** Asks the server; unset: the surrounding's own fetch. */
  readonly fetch?: RangeFetch
  /** Bytes a request; unset: {@link RANGE_BYTES}. */
  readonly blockBytes?: number
  /** Whether the next block is fetched while one is read; unset: unless `blockBytes` is given. */
  readonly readAhead?: boolean
}

/** Resolves to any answer; fails only where there is none. */
export type RangeFetch = (
  url: URL,
  init: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
) => Promise<Response>

/**
 * @throws ModelNotFoundError if the server does not hand the file out
 * @throws FormatError if its answer makes no sense
 */
export async function openRangeSource(
  url: URL,
  options: RangeSourceOptions = {},
): Promise<ByteSource> {
  const name = url.href
  const { blockBytes = RANGE_BYTES, signal } = options
  const { readAhead = options.blockBytes === undefined } = options
  const ask = options.fetch ?? ((address, init) => fetch(address, init))
  const closed = new AbortController()
  const end = signal ? AbortSignal.any([signal, closed.signal]) : closed.signal
  const first = await request(ask, url, 0, blockBytes, end)
  // No ranges: the browser stores all of it, on disk if it is large.
  if (first.status === 200) return blobSource(await first.blob(), name)
  const size = sizeOf(first, name)
  const tag = tagOf(first)
  const blocks = new RecentBlocks(async (number) => {
    const from = number * blockBytes
    const to = Math.min(from + blockBytes, size)
    const response = await request(ask, url, from, to, end)
    const isSame = response.status === 206 && sizeOf(response, name) === size
    if (!isSame || tagOf(response) !== tag) {
      throw new FormatError(
        `Expected ${name} to stay the same while it is read, but the server has another version ` +
          'now. Load it again.',
        { field: 'size', path: name },
      )
    }
    return exactly(await response.arrayBuffer(), from, to, name)
  })
  const start = exactly(await first.arrayBuffer(), 0, Math.min(blockBytes, size), name)
  blocks.keep(0, Promise.resolve(start))
  return {
    name,
    size,
    async read(offset, length) {
      checkRange(name, size, offset, length)
      const bytes = new Uint8Array(length)
      for (let done = 0; done < length; ) {
        const at = offset + done
        const number = Math.floor(at / blockBytes)
        const wanted = blocks.get(number)
        if (readAhead && (number + 1) * blockBytes < size) blocks.get(number + 1)
        const from = at - number * blockBytes
        const part = (await wanted).subarray(from, from + length - done)
        bytes.set(part, done)
        done += part.length
      }
      return bytes
    },
    async close() {
      blocks.clear()
      closed.abort()
    },
  }
}

class RecentBlocks {
  readonly #fetch: (number: number) => Promise<Uint8Array>
  /** By number, least recently used first. */
  readonly #blocks = new Map<number, Promise<Uint8Array>>()

  constructor(fetch: (number: number) => Promise<Uint8Array>) {
    this.#fetch = fetch
  }

  get(number: number): Promise<Uint8Array> {
    const known = this.#blocks.get(number)
    const block = known ?? this.#fetch(number)
    this.keep(number, block)
    if (known) return block
    // A failed block is asked for again by the next reader; until one awaits it, it is no accident.
    block.catch(() => {
      if (this.#blocks.get(number) === block) this.#blocks.delete(number)
    })
    return block
  }

  keep(number: number, block: Promise<Uint8Array>): void {
    this.#blocks.delete(number)
    this.#blocks.set(number, block)
    for (const old of this.#blocks.keys()) {
      if (this.#blocks.size <= KEPT_BLOCKS) break
      this.#blocks.delete(old)
    }
  }

  clear(): void {
    this.#blocks.clear()
  }
}

/** One request for the bytes of [start, end). */
async function request(
  ask: RangeFetch,
  url: URL,
  start: number,
  end: number,
  signal: AbortSignal,
): Promise<Response> {
  const facts = { source: url.href }
  // What is in memory already (blob:, data:) needs no parts, which Node 20 gives a byte too short.
  const isRemote = /^https?:$/.test(url.protocol)
  const headers = isRemote ? { Range: `bytes=${start}-${end - 1}` } : {}
  let response: Response
  try {
    response = await ask(url, { headers, signal })
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof BitnetError) throw cause
    throw new ModelNotFoundError(
      `Expected an answer for ${url.href}, but the request failed: ${messageOf(cause)}. Check the ` +
        'address, and whether the server allows other sites to read it ' +
        '(Access-Control-Allow-Origin).',
      facts,
    )
  }
  const coding = response.status === 206 ? contentCoding(response.headers) : undefined
  if (coding !== undefined) {
    throw new FormatError(
      `Expected parts of ${url.href} as they are, but the server sends them compressed ` +
        `(Content-Encoding: ${coding}). Fetch the file by other means.`,
      { field: 'Content-Encoding', path: url.href },
    )
  }
  if (response.status === 200 || response.status === 206) return response
  throw new ModelNotFoundError(
    `Expected a model at ${url.href}, but the server answered ${response.status}. Check the address.`,
    facts,
  )
}

/** The whole file's size. */
function sizeOf(response: Response, name: string): number {
  const range = readContentRange(response.headers)
  if (range !== undefined) return range.size
  const got = response.headers.get('Content-Range') ?? 'none'
  throw new FormatError(
    `Expected the size of ${name} in a Content-Range header, got ${got}. A server on ` +
      'another site must name it in Access-Control-Expose-Headers.',
    { field: 'Content-Range', path: name },
  )
}

function tagOf(response: Response): string | undefined {
  return response.headers.get('ETag') ?? response.headers.get('Last-Modified') ?? undefined
}

function exactly(bytes: ArrayBuffer, start: number, end: number, name: string): Uint8Array {
  if (bytes.byteLength === end - start) return new Uint8Array(bytes)
  throw new FormatError(
    `Expected ${end - start} bytes from ${start} of ${name}, got ${bytes.byteLength}. Load it again.`,
    { field: 'size', path: name },
  )
}
