/**
 * Which bytes of an unfinished download are stored, so that it goes on where it was after any end of the
 * process. Beside the data lies a text: a line that says which content this is, then a line
 * "offset length" for each run of bytes, added after the bytes were written. A line that was cut off
 * counts as not written.
 *
 * The data file is not called `<etag>.incomplete`: other tools take a file of that name for bytes from
 * the start on, and would finish one that was fetched in pieces into a wrong file.
 */
import type { ContentHash } from '../repo-file.ts'
import type { DownloadStore } from './store.ts'

/** What the bytes belong to. */
export interface ContentIdentity {
  readonly size: number
  /** As the hub states it for a commit that never changes; unset: only size and tag can be checked. */
  readonly hash?: ContentHash
  /** A server's entity tag, where there is no hash; undefined where it gives none. */
  readonly tag?: string | undefined
  /**
   * Guards ranges of a content without a hash: a server that has another version then sends all of it.
   * Not used beside a hash, which decides at the end, because storage servers may have several tags for
   * one content, and each mismatch would cost a whole file.
   */
  readonly ifRange?: string | undefined
}

export interface Span {
  readonly start: number
  /** Excluded. */
  readonly end: number
}

/** Runs merge as they meet, so that even a long download has few lines per megabyte. */
const MAX_JOURNAL_BYTES = 64 << 20

export type PieceJournal = Awaited<ReturnType<typeof openPieceJournal>>

/** Goes on with what is there if it is of the same content, else begins anew. */
export async function openPieceJournal(
  store: DownloadStore,
  target: string,
  { size, hash, tag }: ContentIdentity,
) {
  const names = unfinishedNames(target)
  const header = `${JSON.stringify({ size, tag: hash?.hex ?? tag ?? null })}\n`
  /** Sorted, neither touching nor overlapping. */
  let covered = await readCovered(store, names, header, size)
  if (covered.length === 0) await removeUnfinished(store, target)
  const data = await store.open(names.data, 'write')
  const journal = await store.open(names.journal, 'write').catch(async (error: unknown) => {
    await data.close()
    throw error
  })
  /** Lines are added one after the other: a hole between them would spoil those behind it. */
  let lastLine = Promise.resolve()
  let journalBytes = 0
  const addText = (text: string): Promise<void> => {
    const bytes = new TextEncoder().encode(text)
    const added = lastLine.then(async () => {
      await journal.write(bytes, journalBytes)
      journalBytes += bytes.length
    })
    lastLine = added.catch(() => undefined)
    return added
  }
  const close = async (): Promise<void> => {
    await Promise.allSettled([data.close(), journal.close()])
  }
  try {
    // Also repairs a line that was cut off: everything is said once more.
    await journal.truncate(0)
    await addText(header + covered.map(lineOf).join(''))
  } catch (error) {
    await close()
    throw error
  }
  return {
    names,
    /** What is not there yet of the content, in order. */
    missing(): Span[] {
      const starts = [0, ...covered.map(({ end }) => end)]
      const ends = [...covered.map(({ start }) => start), size]
      const gaps = starts.map((start, i) => ({ start, end: ends[i] }))
      return gaps.filter(({ start, end }) => end > start)
    },
    write: (bytes: Uint8Array, offset: number): Promise<void> => data.write(bytes, offset),
    /** Remembers that [start, end) has been written. */
    async record(start: number, end: number): Promise<void> {
      if (end <= start) return
      covered = merge(covered, { start, end })
      await addText(lineOf({ start, end }))
    },
    /** The data is stored for good, and no longer than the content. */
    async finish(): Promise<void> {
      await data.truncate(size)
      await data.sync()
    },
    close,
  }
}

/** Forgets an unfinished download. */
export async function removeUnfinished(store: DownloadStore, target: string): Promise<void> {
  const { data, journal } = unfinishedNames(target)
  await store.remove(journal)
  await store.remove(data)
}

/** Where the parts of a file are until it is whole. */
export function unfinishedNames(target: string) {
  return { data: `${target}.bitnet.incomplete`, journal: `${target}.bitnet.journal` }
}

/** Bytes of some runs together. */
export function bytesOf(spans: readonly Span[]): number {
  return spans.reduce((sum, { start, end }) => sum + end - start, 0)
}

function lineOf({ start, end }: Span): string {
  return `${start} ${end - start}\n`
}

async function readCovered(
  store: DownloadStore,
  names: ReturnType<typeof unfinishedNames>,
  header: string,
  size: number,
): Promise<Span[]> {
  const dataBytes = await store.size(names.data)
  const journalBytes = await store.size(names.journal)
  if (dataBytes === undefined || journalBytes === undefined) return []
  if (journalBytes > MAX_JOURNAL_BYTES) return []
  const text = await readText(store, names.journal, journalBytes)
  if (!text.startsWith(header)) return []
  const lines = text.slice(header.length).split('\n')
  // Whatever follows the last line feed was cut off.
  lines.pop()
  let covered: Span[] = []
  for (const line of lines) {
    const [, start, length] = /^(\d{1,15}) (\d{1,15})$/.exec(line) ?? []
    const span = { start: Number(start), end: Number(start) + Number(length) }
    if (!(span.end <= Math.min(size, dataBytes)) || span.end <= span.start) return []
    covered = merge(covered, span)
  }
  return covered
}

async function readText(store: DownloadStore, name: string, size: number): Promise<string> {
  const file = await store.open(name, 'read')
  try {
    const bytes = new Uint8Array(size)
    return new TextDecoder().decode(bytes.subarray(0, await file.read(bytes, 0)))
  } finally {
    await file.close()
  }
}

function merge(spans: readonly Span[], added: Span): Span[] {
  const before = spans.filter(({ end }) => end < added.start)
  const after = spans.filter(({ start }) => start > added.end)
  const touching = spans.slice(before.length, spans.length - after.length)
  const start = Math.min(added.start, ...touching.map((span) => span.start))
  const end = Math.max(added.end, ...touching.map((span) => span.end))
  return [...before, { start, end }, ...after]
}
