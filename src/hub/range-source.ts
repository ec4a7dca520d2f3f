/**
 * Bytes of a file on a server, read with range requests: in blocks, of which a few are kept and the
 * next one is fetched ahead, so that a model streams in without ever being in memory as a whole.
 */
import { messageOf } from '../checks.ts'
import { BitnetError, FormatError, ModelNotFoundError } from '../errors.ts'
import { checkRange } from '../formats/memory-source.ts'
import type { ByteSource } from '../formats/model-file.ts'
import { blobSource } from './blob-source.ts'
import { readContentRange } from './content-range.ts'

/** Long enough that the time to the first byte does not matter, short enough to keep a few. */
const BLOCK_BYTES = 4 << 20
/** The block being read, the next one, and two for readers at other places. */
const KEPT_BLOCKS = 4

/** How the first answer identifies the file's content; undefined where the server does not say. */
interface Version {
  readonly size: number
  readonly tag: string | undefined
}

export interface RangeSourceOptions {
  readonly signal?: AbortSignal | undefined
  /** Asks the server; unset: the surrounding's own fetch. */
  readonly fetch?: RangeFetch
  /** Bytes a request; unset: 4 MiB, and the next block is fetched ahead. */
  readonly blockBytes?: number
}

/** Resolves to any answer; fails only where there is none. */
export type RangeFetch = (
  url: URL,
  init: { readonly headers: Readonly<Record<string, string>>; readonly signal?: AbortSignal },
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
  const { blockBytes = BLOCK_BYTES, signal } = options
  const ask = options.fetch ?? ((address, init) => fetch(address, init))
  const response = await request(ask, url, 0, blockBytes - 1, signal)
  // No ranges: the browser stores all of it, on disk if it is large.
  if (response.status === 200) return blobSource(await response.blob(), name)
  const size = sizeOf(response, name)
  const first = await response.arrayBuffer()
  const version = { size, tag: tagOf(response) }
  const readAhead = options.blockBytes === undefined
  const blocks = new BlockReader({ ask, url, version, blockBytes, readAhead, signal })
  blocks.keep(0, Promise.resolve(exactly(first, 0, Math.min(blockBytes, size), name)))
  return {
    name,
    size,
    async read(offset, length) {
      checkRange(name, size, offset, length)
      return blocks.read(offset, length)
    },
    close: async () => blocks.close(),
  }
}

interface BlockReaderParts {
  readonly ask: RangeFetch
  readonly url: URL
  readonly version: Version
  readonly blockBytes: number
  readonly readAhead: boolean
  readonly signal: AbortSignal | undefined
}

class BlockReader {
  readonly #parts: BlockReaderParts
  readonly #closed = new AbortController()
  readonly #signal: AbortSignal
  /** By number, least recently used first. */
  readonly #blocks = new Map<number, Promise<Uint8Array>>()

  constructor(parts: BlockReaderParts) {
    this.#parts = parts
    const own = this.#closed.signal
    this.#signal = parts.signal ? AbortSignal.any([parts.signal, own]) : own
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const { version, blockBytes, readAhead } = this.#parts
    const bytes = new Uint8Array(length)
    for (let done = 0; done < length; ) {
      const at = offset + done
      const number = Math.floor(at / blockBytes)
      const wanted = this.#block(number)
      if (readAhead && (number + 1) * blockBytes < version.size) this.#block(number + 1)
      const block = await wanted
      const from = at - number * blockBytes
      const part = block.subarray(from, Math.min(block.length, from + length - done))
      bytes.set(part, done)
      done += part.length
    }
    return bytes
  }

  keep(number: number, block: Promise<Uint8Array>): void {
    this.#blocks.delete(number)
    this.#blocks.set(number, block)
    for (const old of this.#blocks.keys()) {
      if (this.#blocks.size <= KEPT_BLOCKS) break
      this.#blocks.delete(old)
    }
  }

  close(): void {
    this.#blocks.clear()
    this.#closed.abort()
  }

  #block(number: number): Promise<Uint8Array> {
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

  async #fetch(number: number): Promise<Uint8Array> {
    const { ask, url, version, blockBytes } = this.#parts
    const name = url.href
    const start = number * blockBytes
    const end = Math.min(start + blockBytes, version.size)
    const response = await request(ask, url, start, end - 1, this.#signal)
    const sameSize = response.status === 206 && sizeOf(response, name) === version.size
    if (!sameSize || tagOf(response) !== version.tag) {
      throw new FormatError(
        `Expected ${name} to stay the same while it is read, but the server has another version ` +
          'now. Load it again.',
        { field: 'size', path: name },
      )
    }
    return exactly(await response.arrayBuffer(), start, end, name)
  }
}

/** One request; `last` is the last byte wanted. */
async function request(
  ask: RangeFetch,
  url: URL,
  first: number,
  last: number,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const facts = { source: url.href }
  let response: Response
  try {
    const headers = { Range: `bytes=${first}-${last}` }
    response = await ask(url, { headers, ...(signal ? { signal } : {}) })
  } catch (cause) {
    signal?.throwIfAborted()
    if (cause instanceof BitnetError) throw cause
    const reason = messageOf(cause)
    throw new ModelNotFoundError(
      `Expected an answer for ${url.href}, but the request failed: ${reason}. Check the address, ` +
        'and whether the server allows other sites to read it (Access-Control-Allow-Origin).',
      facts,
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
