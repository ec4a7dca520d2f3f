/**
 * Fetches a run of bytes of one file with range requests, and goes on after cut connections and
 * passing refusals with what is still missing. Everything a server says about what it sends is checked
 * before a byte is kept.
 */
import { isWhole, messageOf } from '../../checks.ts'
import { BitnetError, DownloadError } from '../../errors.ts'
import { contentCoding, readContentRange } from '../content-range.ts'
import { bodyChunks, FinalError, type HubAnswer, type HubClient, tagText } from './hub-client.ts'
import type { ContentIdentity, PieceJournal, Span } from './piece-journal.ts'

/** The server has another content now than the one that was begun. */
export class ContentChangedError extends FinalError {}

/** The server sends whole files only. */
export class NoRangesError extends FinalError {}

export interface SpanRequest extends Span {
  readonly url: string
  readonly content: ContentIdentity
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
export async function fetchSpan(
  wanted: SpanRequest,
  { client, journal, signal, onBytes }: SpanSurroundings,
): Promise<void> {
  const { url, end } = wanted
  const { ifRange } = wanted.content
  const guard = ifRange === undefined ? {} : { 'If-Range': ifRange }
  let at = wanted.start
  await client.persist(url, signal, async (arrived) => {
    // All may have come before the connection broke.
    if (at >= end) return
    const headers = { Range: `bytes=${at}-${end - 1}`, ...guard }
    const answer = await client.request(url, signal, headers)
    let position = await bodyStart(answer, wanted, at)
    let recorded = at
    try {
      for await (const chunk of bodyChunks(answer.response)) {
        const skip = Math.min(chunk.length, Math.max(0, at - position))
        const part = chunk.subarray(skip, Math.min(chunk.length, end - position))
        position += chunk.length
        if (part.length > 0) {
          await kept(journal.write(part, at), url)
          at += part.length
          arrived()
          onBytes(part.length)
        }
        if (at - recorded >= RECORD_BYTES) {
          await kept(journal.record(recorded, at), url)
          recorded = at
        }
        // Read to its end, the connection serves the next request.
        if (position > end) break
      }
    } finally {
      await kept(journal.record(recorded, at), url)
    }
    if (at < end) throw new Error('the answer ended before the last byte')
    // Its first bytes would be kept of a file that goes on; where there is a hash, that decides.
    const { hash, size } = wanted.content
    if (hash === undefined && position > size) throw new ContentChangedError()
  })
}

/** What cannot be kept is no fault of the network, and another attempt would not change it. */
async function kept(writing: Promise<void>, url: string): Promise<void> {
  try {
    await writing
  } catch (error) {
    if (error instanceof BitnetError) throw error
    throw new DownloadError(`What came of ${url} could not be kept: ${messageOf(error)}.`, {
      url,
      cause: error,
    })
  }
}

/**
 * The offset in the file of the body's first byte.
 *
 * @throws ContentChangedError | NoRangesError | Error; the body has been thrown away then
 */
async function bodyStart(answer: HubAnswer, wanted: SpanRequest, at: number): Promise<number> {
  try {
    return checkedStart(answer, wanted, at)
  } catch (error) {
    await answer.response.body?.cancel()
    throw error
  }
}

function checkedStart({ response, linkedTag }: HubAnswer, wanted: SpanRequest, at: number): number {
  const { size, hash, tag } = wanted.content
  const { status, headers } = response
  // Beside a hash, only the hub's own statement counts: its storage server has tags of another kind.
  const stated = hash ? linkedTag : tagText(headers.get('ETag') ?? headers.get('Last-Modified'))
  const expected = hash?.hex ?? tag
  // Against a hash, an answer about another content is a wrong answer, and the next may be right: what
  // is there already stays, and is checked at the end. Without one, the file itself has changed.
  const changed = (got: string): Error =>
    hash ? new Error(`it has another content now: ${got}`) : new ContentChangedError()
  if (expected !== undefined && stated !== undefined && stated !== expected) {
    throw changed(`the tag ${stated.slice(0, 80)} instead of ${expected}`)
  }
  const coding = contentCoding(headers)
  if (status === 206) {
    // Bytes of a compressed file, of which nothing can be unpacked.
    if (coding !== undefined) throw compressed(wanted.url, coding)
    const range = readContentRange(headers)
    if (range !== undefined && range.size !== size) {
      throw changed(`${range.size} bytes instead of ${size}`)
    }
    if (range?.first === at && range.last < wanted.end) return at
    const got = headers.get('Content-Range')?.slice(0, 80) ?? 'none'
    throw new Error(`it sent the range "${got}" for the one from byte ${at} on`)
  }
  const length = headers.get('Content-Length')
  if (coding === undefined && length !== null && Number(length) !== size) {
    throw changed(`${length} bytes instead of ${size}`)
  }
  if (!wanted.acceptWhole) throw new NoRangesError()
  return 0
}

function compressed(url: string, coding: string): DownloadError {
  return new DownloadError(
    `Expected ${url} as it is, but the server sends it compressed (Content-Encoding: ${coding}) although ` +
      'it was asked not to. Fetch the file by other means and give its path.',
    { url },
  )
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
    const { response } = await client.request(url, signal, { Range: 'bytes=0-0' })
    await response.body?.cancel()
    const { status, headers } = response
    const coding = contentCoding(headers)
    if (coding !== undefined) throw compressed(url, coding)
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
    return { size, tag: tagText(tag), ifRange }
  })
}
