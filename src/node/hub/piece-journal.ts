/**
 * Which bytes of an unfinished download are on disk, so that it goes on where it was after any end of
 * the process. Beside the data lies a text: a line that says which content this is, then a line
 * "offset length" for each run of bytes, added after the bytes were written. A line that was cut off
 * counts as not written.
 *
 * The data file is not called `<etag>.incomplete`: other tools take a file of that name for bytes from
 * the start on, and would finish one that was fetched in pieces into a wrong file.
 */
import { type FileHandle, open, readFile, rm, stat } from 'node:fs/promises'

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
  readonly dataPath: string
  readonly #journalPath: string
  readonly #data: FileHandle
  readonly #journal: FileHandle
  /** Sorted, neither touching nor overlapping. */
  #covered: Span[]

  private constructor(
    paths: { data: string; journal: string },
    handles: { data: FileHandle; journal: FileHandle },
    covered: Span[],
  ) {
    this.dataPath = paths.data
    this.#journalPath = paths.journal
    this.#data = handles.data
    this.#journal = handles.journal
    this.#covered = covered
  }

  /** Goes on with what is there if it is of the same content, else begins anew. */
  static async open(target: string, identity: ContentIdentity): Promise<PieceJournal> {
    const paths = journalPaths(target)
    const header = `${JSON.stringify({ size: identity.size, tag: identity.tag ?? null })}\n`
    const covered = await readCovered(paths, header, identity.size)
    if (covered.length === 0) await removeUnfinished(target)
    const data = await open(paths.data, covered.length === 0 ? 'w+' : 'r+')
    try {
      const journal = await open(paths.journal, 'a')
      // Also repairs a line that was cut off: everything is said once more.
      await journal.truncate(0)
      await journal.write(header + covered.map(lineOf).join(''))
      return new PieceJournal(paths, { data, journal }, covered)
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

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const rest = bytes.length - done
      done += (await this.#data.write(bytes, done, rest, offset + done)).bytesWritten
    }
  }

  /** Remembers that [start, end) has been written. */
  async record(start: number, end: number): Promise<void> {
    if (end <= start) return
    this.#covered = merge(this.#covered, { start, end })
    await this.#journal.write(lineOf({ start, end }))
  }

  /** The data is on the disk itself, and no longer than the content. */
  async finish(size: number): Promise<void> {
    await this.#data.truncate(size)
    await this.#data.datasync()
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#data.close(), this.#journal.close()])
  }

  /** The data has become the finished file. */
  async removeJournal(): Promise<void> {
    await rm(this.#journalPath, { force: true })
  }
}

/** Forgets an unfinished download. */
export async function removeUnfinished(target: string): Promise<void> {
  const { data, journal } = journalPaths(target)
  await rm(journal, { force: true })
  await rm(data, { force: true })
}

function journalPaths(target: string): { data: string; journal: string } {
  return { data: `${target}.bitnet.incomplete`, journal: `${target}.bitnet.journal` }
}

function lineOf({ start, end }: Span): string {
  return `${start} ${end - start}\n`
}

async function readCovered(
  paths: { data: string; journal: string },
  header: string,
  size: number,
): Promise<Span[]> {
  const [data, journal] = await Promise.all(
    [paths.data, paths.journal].map((path) => stat(path).catch(() => undefined)),
  )
  if (data === undefined || journal === undefined || journal.size > MAX_JOURNAL_BYTES) return []
  const text = await readFile(paths.journal, 'utf8')
  if (!text.startsWith(header)) return []
  const lines = text.slice(header.length).split('\n')
  // Whatever follows the last line feed was cut off.
  lines.pop()
  let covered: Span[] = []
  for (const line of lines) {
    const [, start, length] = /^(\d{1,15}) (\d{1,15})$/.exec(line) ?? []
    const span = { start: Number(start), end: Number(start) + Number(length) }
    if (!(span.end <= Math.min(size, data.size)) || span.end <= span.start) return []
    covered = merge(covered, span)
  }
  return covered
}

function merge(spans: readonly Span[], added: Span): Span[] {
  const before = spans.filter(({ end }) => end < added.start)
  const after = spans.filter(({ start }) => start > added.end)
  const touching = spans.slice(before.length, spans.length - after.length)
  const start = Math.min(added.start, ...touching.map((span) => span.start))
  const end = Math.max(added.end, ...touching.map((span) => span.end))
  return [...before, { start, end }, ...after]
}
