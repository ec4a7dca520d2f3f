/**
 * Which bytes of an unfinished download are stored, so that it goes on where it was after any end of the
 * process. Beside the data lies a text: a line that says which content this is, then a line
 * "offset length" for each run of bytes, added after the bytes were written. A line that was cut off
 * counts as not written.
 *
 * The data file is not called `<etag>.incomplete`: other tools take a file of that name for bytes from
 * the start on, and would finish one that was fetched in pieces into a wrong file.
 */
import type { DownloadStore, StoreFile } from './store.ts'

/** What the bytes belong to. */
export interface ContentIdentity {
  readonly size: number
  /** A hash, or a server's entity tag; undefined where a server gives none. */
  readonly tag: string | undefined
  /** The tag is the content's hash, as the hub states it for a commit that never changes. */
  readonly isHash: boolean
  /**
   * Guards ranges of a content without a hash: a server that has another version then sends all of it.
   * Not used beside a hash, which decides at the end, because storage servers may have several tags for
   * one content, and each mismatch would cost a whole file.
   */
  readonly ifRange?: string | undefined
}

interface Span {
  readonly start: number
  /** Excluded. */
  readonly end: number
}

/** Runs merge as they meet, so that even a long download has few lines per megabyte. */
const MAX_JOURNAL_BYTES = 64 << 20

export class PieceJournal {
  readonly names: UnfinishedNames
  readonly #data: StoreFile
  readonly #journal: StoreFile
  /** Sorted, neither touching nor overlapping. */
  #covered: Span[]
  /** Lines are added one after the other: a hole between them would spoil those behind it. */
  #lastLine: Promise<void> = Promise.resolve()
  #journalBytes = 0

  private constructor(
    names: UnfinishedNames,
    data: StoreFile,
    journal: StoreFile,
    covered: Span[],
  ) {
    this.names = names
    this.#data = data
    this.#journal = journal
    this.#covered = covered
  }

  /** Goes on with what is there if it is of the same content, else begins anew. */
  static async open(
    store: DownloadStore,
    target: string,
    identity: ContentIdentity,
  ): Promise<PieceJournal> {
    const names = unfinishedNames(target)
    const header = `${JSON.stringify({ size: identity.size, tag: identity.tag ?? null })}\n`
    const covered = await readCovered(store, names, header, identity.size)
    if (covered.length === 0) await removeUnfinished(store, target)
    const data = await store.open(names.data, 'write')
    try {
      const journal = await store.open(names.journal, 'write')
      const pieces = new PieceJournal(names, data, journal, covered)
      // Also repairs a line that was cut off: everything is said once more.
      await journal.truncate(0)
      await pieces.#addText(header + covered.map(lineOf).join(''))
      return pieces
    } catch (error) {
      await data.close()
      throw error
    }
  }

  get coveredBytes(): number {
    return this.#covered.reduce((sum, { start, end }) => sum + end - start, 0)
  }

  /** What is not there yet of [0, size), in order. */
  missing(size: number): Span[] {
    const gaps: Span[] = []
    let at = 0
    for (const { start, end } of this.#covered) {
      if (start > at) gaps.push({ start: at, end: start })
      at = end
    }
    if (at < size) gaps.push({ start: at, end: size })
    return gaps
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#data.write(bytes, offset)
  }

  /** Remembers that [start, end) has been written. */
  async record(start: number, end: number): Promise<void> {
    if (end <= start) return
    this.#covered = merge(this.#covered, { start, end })
    await this.#addText(lineOf({ start, end }))
  }

  /** The data is stored for good, and no longer than the content. */
  async finish(size: number): Promise<void> {
    await this.#data.truncate(size)
    await this.#data.sync()
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#data.close(), this.#journal.close()])
  }

  #addText(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text)
    const added = this.#lastLine.then(async () => {
      await this.#journal.write(bytes, this.#journalBytes)
      this.#journalBytes += bytes.length
    })
    this.#lastLine = added.catch(() => undefined)
    return added
  }
}

interface UnfinishedNames {
  readonly data: string
  readonly journal: string
}

/** Forgets an unfinished download. */
export async function removeUnfinished(store: DownloadStore, target: string): Promise<void> {
  const { data, journal } = unfinishedNames(target)
  await store.remove(journal)
  await store.remove(data)
}

/** Where the parts of a file are until it is whole. */
export function unfinishedNames(target: string): UnfinishedNames {
  return { data: `${target}.bitnet.incomplete`, journal: `${target}.bitnet.journal` }
}

function lineOf({ start, end }: Span): string {
  return `${start} ${end - start}\n`
}

async function readCovered(
  store: DownloadStore,
  names: UnfinishedNames,
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
