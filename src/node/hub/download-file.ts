/**
 * Fetches one file into its place: several connections at a time for a large one, with what is there
 * of an earlier attempt kept, and renamed to its final name only when whole and checked.
 */
import { mkdir, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DownloadError } from '../../errors.ts'
import type { ContentHash } from '../../hub/repo-file.ts'
import { freeBytes, requireFreeSpace } from '../files/free-space.ts'
import { hasContent } from './content-check.ts'
import { ContentChangedError, fetchSpan, NoRangesError } from './fetch-span.ts'
import { acquireLock } from './file-lock.ts'
import type { HubClient } from './hub-client.ts'
import { type Pace, USUAL_PACE } from './patience.ts'
import { type ContentIdentity, PieceJournal, removeUnfinished } from './piece-journal.ts'

export interface FileDownload {
  readonly url: string
  /** Where the file goes; nothing is done if there is one. */
  readonly target: string
  readonly lockPath: string
  readonly size: number
  /** Of the content, as the hub states it; unset: only size and tag can be checked. */
  readonly hash?: ContentHash
  /** As the server identified the content, where there is no hash. */
  readonly tag?: string | undefined
  readonly ifRange?: string | undefined
}

/** What people are told meanwhile. */
export interface FileEvents {
  /** `kept` bytes of an earlier attempt count at once. */
  readonly onBytes: (count: number, kept: boolean) => void
  readonly onState: (state: 'waiting' | 'downloading' | 'verifying') => void
}

/** How downloads go about; tests have smaller numbers. */
export interface DownloadTuning {
  readonly pace: Pace
  readonly connections: number
  /** A file of several pieces is fetched by several connections. */
  readonly pieceBytes: number
  readonly lockPollMs?: number
  /** Bytes that may still be written to the disk of a folder. */
  readonly freeBytes: (folder: string) => Promise<number>
}

export const USUAL_TUNING: DownloadTuning = {
  pace: USUAL_PACE,
  // One connection to a storage server rarely fills a fast line; more than a few are rude.
  connections: 4,
  pieceBytes: 32 << 20,
  freeBytes,
}

/** Fetches of the whole content that may turn out wrong before that is final. */
const MAX_ROUNDS = 3

/**
 * @returns whether it was fetched; false if it was there
 * @throws DownloadError | RefusedError | ContentChangedError, BitnetError with code DISK_FULL, or the
 *   signal's reason
 */
export async function downloadFile(
  client: HubClient,
  wanted: FileDownload,
  events: FileEvents,
  tuning: DownloadTuning,
  signal?: AbortSignal,
): Promise<boolean> {
  await mkdir(dirname(wanted.target), { recursive: true })
  const release = await acquireLock(wanted.lockPath, {
    signal,
    pollMs: tuning.lockPollMs,
    onWait: () => events.onState('waiting'),
  })
  try {
    if ((await stat(wanted.target).catch(() => undefined))?.isFile()) {
      events.onBytes(wanted.size, true)
      return false
    }
    for (let round = 1; ; round++) {
      if (await fetchAndCheck(client, wanted, events, tuning, signal)) return true
      await removeUnfinished(wanted.target)
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
  client: HubClient,
  { url, target, size, hash, tag, ifRange }: FileDownload,
  events: FileEvents,
  tuning: DownloadTuning,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const identity: ContentIdentity =
    hash === undefined
      ? { size, tag, isHash: false, ifRange }
      : { size, tag: hash.hex, isHash: true }
  const journal = await PieceJournal.open(target, identity)
  try {
    const kept = journal.coveredBytes
    events.onBytes(kept, true)
    await requireSpace(target, size - kept, tuning)
    events.onState('downloading')
    const onBytes = (count: number): void => events.onBytes(count, false)
    const around = { client, journal, pace: tuning.pace, onBytes }
    await fetchMissing({ url, identity, tuning, journal, around, signal })
    await journal.finish(size)
  } catch (error) {
    // What there is belongs to a content that the server has no more.
    if (error instanceof ContentChangedError) await removeUnfinished(target)
    throw error
  } finally {
    await journal.close()
  }
  if (hash !== undefined) {
    events.onState('verifying')
    const isRight = await hasContent(journal.dataPath, hash, signal ? { signal } : {})
    if (!isRight) return false
  }
  await rename(journal.dataPath, target)
  await journal.removeJournal()
  return true
}

interface MissingParts {
  readonly url: string
  readonly identity: ContentIdentity
  readonly tuning: DownloadTuning
  readonly journal: PieceJournal
  readonly around: Omit<Parameters<typeof fetchSpan>[1], 'signal'>
  readonly signal: AbortSignal | undefined
}

async function fetchMissing(parts: MissingParts): Promise<void> {
  const { tuning, identity } = parts
  if (identity.size > tuning.pieceBytes) {
    try {
      return await fetchSideBySide(parts)
    } catch (error) {
      if (!(error instanceof NoRangesError)) throw error
    }
  }
  // One connection, which may as well send the whole file: from the first missing byte to the last.
  const { url, journal, around, signal } = parts
  const gaps = journal.missing(identity.size)
  const [first, last] = [gaps.at(0), gaps.at(-1)]
  if (first === undefined || last === undefined) return
  const span = { start: first.start, end: last.end }
  const missing = gaps.reduce((sum, { start, end }) => sum + end - start, 0)
  // What lies between is fetched once more, which people need not see.
  around.onBytes(missing - (span.end - span.start))
  await fetchSpan({ url, identity, ...span, acceptWhole: true }, { ...around, signal })
}

async function fetchSideBySide(parts: MissingParts): Promise<void> {
  const { url, identity, tuning, journal, around, signal } = parts
  const pieces = journal.missing(identity.size).flatMap(({ start, end }) => {
    const cuts: { start: number; end: number }[] = []
    for (let at = start; at < end; at += tuning.pieceBytes) {
      cuts.push({ start: at, end: Math.min(end, at + tuning.pieceBytes) })
    }
    return cuts
  })
  const own = new AbortController()
  const both = signal ? AbortSignal.any([signal, own.signal]) : own.signal
  let failure: { error: unknown } | undefined
  const worker = async (): Promise<void> => {
    for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
      try {
        const wanted = { url, identity, ...piece, acceptWhole: false }
        await fetchSpan(wanted, { ...around, signal: both })
      } catch (error) {
        // The first failure ends all; what the others throw then is only its echo.
        failure ??= { error }
        own.abort()
        return
      }
    }
  }
  await Promise.all(Array.from({ length: tuning.connections }, worker))
  if (failure !== undefined) throw failure.error
}

/** @throws BitnetError with code DISK_FULL if the disk of `path` has not `needed` bytes left */
export function requireSpace(path: string, needed: number, tuning: DownloadTuning): Promise<void> {
  return requireFreeSpace(path, needed, {
    free: tuning.freeBytes,
    advice:
      'Make room (bitnet cache rm removes models), or set HF_HUB_CACHE to a folder on another disk.',
  })
}

function wrongContent({ url, target, hash }: FileDownload): DownloadError {
  return new DownloadError(
    `Expected the content with ${hash?.algorithm} ${hash?.hex} from ${url}, but ${MAX_ROUNDS} times ` +
      `something else came. Nothing was kept at ${target}. A proxy or the server changes the file; ` +
      'try another network, or later.',
    { url },
  )
}
