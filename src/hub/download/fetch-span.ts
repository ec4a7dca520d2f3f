/**
 * Fetches a run of bytes of one file with range requests, and goes on after cut connections and
 * passing refusals with what is still missing. Everything a server says about what it sends is checked
 * before a byte is kept.
 */
import { isWhole } from '../../checks.ts'
import { DownloadError } from '../../errors.ts'
import { readContentRange } from '../content-range.ts'
import { bodyChunks, type HubAnswer, type HubClient, tagText } from './hub-client.ts'
import type { ContentIdentity, PieceJournal } from './piece-journal.ts'

/** The server has another content now than the one that was begun. */
export class ContentChangedError extends Error {
  override readonly name = 'ContentChangedError'
}

/** The server sends whole files only. */
export class NoRangesError extends Error {
  override readonly name = 'NoRangesError'
}

export interface SpanRequest {
  readonly url: string
  readonly identity: ContentIdentity
  readonly start: number
  /** Excluded. */
  readonly end: number
  /** Take an answer with the whole file and skip what is not wanted, instead of failing. */
  readonly acceptWhole: boolean
}

export interface SpanSurroundings {
  readonly client: HubClient
  readonly journal: PieceJournal
  readonly signal?: AbortSignal | undefined
  readonly onBytes: (count: number) => void
}

/** Bytes after which a run is entered in the journal, and so kept if the process is killed. */
const RECORD_BYTES = 1 << 20

/** @throws ContentChangedError | NoRangesError | RefusedError | DownloadError | the signal's reason */
export async function fetchSpan(wanted: SpanRequest, around: SpanSurroundings): Promise<void> {
  const { client, signal } = around
  const patience = client.patience(signal)
  let at = wanted.start
  while (at < wanted.end) {
    const before = at
    try {
      const answer = await client.request(wanted.url, {
        headers: requestHeaders(wanted, at),
        signal,
      })
      at = await keepBody(answer, wanted, at, around, (reached) => {
        at = reached
      })
      if (at < wanted.end) throw new Error('the answer ended before the last byte')
    } catch (error) {
      if (error instanceof ContentChangedError || error instanceof NoRangesError) throw error
      signal?.throwIfAborted()
      if (at > before) patience.succeeded()
      await client.retry(error, patience, wanted.url)
    }
  }
}

function requestHeaders({ end, identity }: SpanRequest, at: number): Record<string, string> {
  return {
    Range: `bytes=${at}-${end - 1}`,
    ...(identity.ifRange === undefined ? {} : { 'If-Range': identity.ifRange }),
  }
}

/** Writes what belongs to the span; returns where it got to. */
async function keepBody(
  answer: HubAnswer,
  wanted: SpanRequest,
  at: number,
  { journal, onBytes }: SpanSurroundings,
  reached: (at: number) => void,
): Promise<number> {
  const { response } = answer
  let position: number
  try {
    position = bodyStart(answer, wanted, at)
  } catch (error) {
    await response.body?.cancel()
    throw error
  }
  let recorded = at
  try {
    for await (const chunk of bodyChunks(response)) {
      const skip = Math.min(chunk.length, Math.max(0, at - position))
      const part = chunk.subarray(skip, Math.min(chunk.length, wanted.end - position))
      position += chunk.length
      if (part.length > 0) {
        await journal.write(part, at)
        at += part.length
        reached(at)
        onBytes(part.length)
      }
      if (at - recorded >= RECORD_BYTES) {
        await journal.record(recorded, at)
        recorded = at
      }
      // Read to its end, the connection serves the next request.
      if (position > wanted.end) break
    }
    return at
  } finally {
    await journal.record(recorded, at)
  }
}

/** The offset in the file of the body's first byte. */
function bodyStart({ response, linkedTag }: HubAnswer, wanted: SpanRequest, at: number): number {
  const { identity } = wanted
  const etag = response.headers.get('ETag')
  // Beside a hash, only the hub's own statement counts: its storage server has tags of another kind.
  const stated = identity.isHash
    ? linkedTag
    : tagText(etag ?? response.headers.get('Last-Modified'))
  if (identity.tag !== undefined && stated !== undefined && stated !== identity.tag) {
    throw changed(identity, `the tag ${stated.slice(0, 80)} instead of ${identity.tag}`)
  }
  if (response.status === 206) {
    const range = readContentRange(response.headers)
    if (range !== undefined && range.size !== identity.size) {
      throw changed(identity, `${range.size} bytes instead of ${identity.size}`)
    }
    if (range?.first === at && range.last < wanted.end) return at
    const got = response.headers.get('Content-Range')?.slice(0, 80) ?? 'none'
    throw new Error(`it sent the range "${got}" for the one from byte ${at} on`)
  }
  const length = response.headers.get('Content-Length')
  if (length !== null && Number(length) !== identity.size) {
    throw changed(identity, `${length} bytes instead of ${identity.size}`)
  }
  if (!wanted.acceptWhole) throw new NoRangesError()
  return 0
}

/**
 * Against a hash, an answer about another content is a wrong answer, and the next may be right: what is
 * there already stays, and is checked at the end. Without one, the file itself has changed.
 */
function changed({ isHash }: ContentIdentity, got: string): Error {
  return isHash ? new Error(`it has another content now: ${got}`) : new ContentChangedError()
}

/**
 * What a server says about a file before any of it is fetched, from its first byte.
 *
 * @throws DownloadError if it does not tell the size; RefusedError
 */
export function probeContent(
  url: string,
  client: HubClient,
  signal?: AbortSignal,
): Promise<ContentIdentity> {
  return client.persist(url, signal, async () => {
    const { response } = await client.request(url, { headers: { Range: 'bytes=0-0' }, signal })
    await response.body?.cancel()
    const { status, headers } = response
    const size =
      status === 206
        ? readContentRange(headers)?.size
        : Number(headers.get('Content-Length') ?? Number.NaN)
    if (!isWhole(size)) {
      throw new DownloadError(
        `Expected ${url} to tell the file's size, but the server did not. Fetch the file by ` +
          'other means and give its path.',
        { url },
      )
    }
    const tag = headers.get('ETag') ?? headers.get('Last-Modified')
    // A weak tag does not vouch for single bytes, so it cannot guard a range.
    const ifRange = tag?.startsWith('W/') === true ? undefined : (tag ?? undefined)
    return { size, tag: tagText(tag), isHash: false, ifRange }
  })
}
