/**
 * Fetches one file into its place: several connections at a time for a large one, with what is there
 * of an earlier attempt kept, and renamed to its final name only when whole and checked.
 */
import { DownloadError } from '../../errors.ts'
import { hasContent } from './content-check.ts'
import {
  ContentChangedError,
  fetchSpan,
  NoRangesError,
  type SpanSurroundings,
} from './fetch-span.ts'
import type { HubClient } from './hub-client.ts'
import {
  bytesOf,
  type ContentIdentity,
  openPieceJournal,
  removeUnfinished,
  type Span,
} from './piece-journal.ts'
import type { DownloadStore } from './store.ts'

export interface FileDownload extends ContentIdentity {
  readonly url: string
  /** Where the file goes; nothing is done if there is one. */
  readonly target: string
  readonly lockName: string
}

/** What people are told meanwhile. */
export interface FileEvents {
  /** `kept` bytes of an earlier attempt count at once. */
  readonly onBytes: (count: number, kept: boolean) => void
  readonly onState: (state: 'waiting' | 'downloading' | 'verifying') => void
}

/** How downloads go about; tests have smaller numbers. */
export interface DownloadTuning {
  readonly connections: number
  /** A file of several pieces is fetched by several connections. */
  readonly pieceBytes: number
}

/** Where a download comes from and goes to. */
export interface DownloadSurroundings {
  readonly client: HubClient
  readonly store: DownloadStore
  readonly tuning: DownloadTuning
  readonly signal?: AbortSignal | undefined
}

/** Fetches of the whole content that may turn out wrong before that is final. */
const MAX_ROUNDS = 3

/**
 * @returns whether it was fetched; false if it was there
 * @throws DownloadError | RefusedError | ContentChangedError, BitnetError with code DISK_FULL, or the
 *   signal's reason
 */
export async function downloadFile(
  wanted: FileDownload,
  events: FileEvents,
  around: DownloadSurroundings,
): Promise<boolean> {
  const { store, signal } = around
  const isThere = async (): Promise<boolean> => {
    if ((await store.size(wanted.target)) === undefined) return false
    events.onBytes(wanted.size, true)
    return true
  }
  // A lock is written, which a cache that is only read refuses.
  if (await isThere()) return false
  const onWait = (): void => events.onState('waiting')
  const release = await store.lock(wanted.lockName, { signal, onWait })
  try {
    if (await isThere()) return false
    for (let round = 1; ; round++) {
      if (await fetchAndCheck(wanted, events, around)) return true
      await removeUnfinished(store, wanted.target)
      if (round === MAX_ROUNDS) throw wrongContent(wanted)
      // People see the count go back: these bytes were none.
      events.onBytes(-wanted.size, true)
    }
  } finally {
    await release()
  }
}

/** @returns false if all bytes came, but are not the content */
async function fetchAndCheck(
  wanted: FileDownload,
  events: FileEvents,
  around: DownloadSurroundings,
): Promise<boolean> {
  const { target, size, hash } = wanted
  const { store, signal } = around
  const journal = await openPieceJournal(store, target, wanted)
  try {
    const missing = bytesOf(journal.missing())
    events.onBytes(size - missing, true)
    await store.requireSpace(target, missing)
    events.onState('downloading')
    const onBytes = (count: number): void => events.onBytes(count, false)
    await fetchMissing(wanted, { journal, onBytes, ...around })
    await journal.finish()
  } catch (error) {
    await journal.close()
    // What there is belongs to a content that the server has no more, or is nothing.
    const isNothing = bytesOf(journal.missing()) === size
    if (isNothing || error instanceof ContentChangedError) await removeUnfinished(store, target)
    throw error
  }
  await journal.close()
  if (hash !== undefined) {
    events.onState('verifying')
    if (!(await hasContent(store, journal.names.data, hash, { signal }))) return false
  }
  await store.rename(journal.names.data, target)
  await store.remove(journal.names.journal)
  return true
}

type FetchSurroundings = DownloadSurroundings & SpanSurroundings

async function fetchMissing(wanted: FileDownload, around: FetchSurroundings): Promise<void> {
  if (wanted.size > around.tuning.pieceBytes) {
    try {
      return await fetchSideBySide(wanted, around)
    } catch (error) {
      if (!(error instanceof NoRangesError)) throw error
    }
  }
  // One connection, which may as well send the whole file: from the first missing byte to the last.
  const gaps = around.journal.missing()
  const [first, last] = [gaps.at(0), gaps.at(-1)]
  if (first === undefined || last === undefined) return
  const span = { start: first.start, end: last.end }
  // What lies between is fetched once more, which people need not see.
  around.onBytes(bytesOf(gaps) - bytesOf([span]))
  await fetchSpan({ url: wanted.url, content: wanted, ...span, acceptWhole: true }, around)
}

async function fetchSideBySide(content: FileDownload, around: FetchSurroundings): Promise<void> {
  const { tuning, journal, signal } = around
  const pieces = journal.missing().flatMap(({ start, end }) => {
    const cuts: Span[] = []
    for (let at = start; at < end; at += tuning.pieceBytes) {
      cuts.push({ start: at, end: Math.min(end, at + tuning.pieceBytes) })
    }
    return cuts
  })
  const own = new AbortController()
  const both = signal ? AbortSignal.any([signal, own.signal]) : own.signal
  let failure: { error: unknown } | undefined
  const fetchPieces = async (): Promise<void> => {
    for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
      const wanted = { url: content.url, content, ...piece, acceptWhole: false }
      await fetchSpan(wanted, { ...around, signal: both })
    }
  }
  // The first failure ends all; what the others throw then is only its echo.
  const fail = (error: unknown): void => {
    failure ??= { error }
    own.abort()
  }
  await Promise.all(Array.from({ length: tuning.connections }, () => fetchPieces().catch(fail)))
  if (failure !== undefined) throw failure.error
}

function wrongContent({ url, target, hash }: FileDownload): DownloadError {
  return new DownloadError(
    `Expected the content with ${hash?.algorithm} ${hash?.hex} from ${url}, but ${MAX_ROUNDS} times ` +
      `something else came. Nothing was kept at ${target}. A proxy or the server changes the file; ` +
      'try another network, or later.',
    { url },
  )
}
