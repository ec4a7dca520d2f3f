/**
 * Lines that were typed, kept for the next session: one JSON string a line, in a file that its owner alone
 * can read. Sessions that run at once append to the same file.
 */
import { appendFile, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { stateFolder } from '../../../node/files/folders.ts'
import { errorCode, makeFolder } from '../../../node/files/system.ts'
import { writeWhole } from '../../../node/files/write-file.ts'

/** Lines that are kept; twice as many are in the file before the older half is dropped. */
const MAX_LINES = 1000
/** Of the file's end that is read. */
const MAX_BYTES = 2 ** 20

export function historyPath(): string {
  return join(stateFolder(), 'chat-history.jsonl')
}

export class LineHistory {
  /** The oldest first. The editor adds to them. */
  readonly lines: string[]
  readonly #path: string | undefined
  #hasFailed = false

  private constructor(path: string | undefined, lines: string[]) {
    this.#path = path
    this.lines = lines
  }

  /** @param path unset: lines are kept for this session alone */
  static async open(path: string | undefined): Promise<LineHistory> {
    return new LineHistory(path, path === undefined ? [] : await readLines(path))
  }

  /**
   * Adds a line to the file.
   *
   * @returns why that is not possible, once
   */
  async keep(line: string): Promise<unknown> {
    const text = `${JSON.stringify(line)}\n`
    if (this.#path === undefined || this.#hasFailed || text.length > MAX_BYTES) return undefined
    try {
      await appendFile(this.#path, text, { mode: 0o600 }).catch(async (error: unknown) => {
        if (errorCode(error) !== 'ENOENT') throw error
        await makeFolder(dirname(this.#path as string), 0o700)
        await appendFile(this.#path as string, text, { mode: 0o600 })
      })
      return undefined
    } catch (error) {
      this.#hasFailed = true
      return error
    }
  }
}

/** The lines of a file; none if there is no file, or none that can be read. */
async function readLines(path: string): Promise<string[]> {
  const lines = (await endOf(path)).split('\n').flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line)
      return typeof value === 'string' && value !== '' ? [value] : []
    } catch {
      return [] // cut off, or not ours
    }
  })
  const kept = lines.slice(-MAX_LINES)
  if (lines.length >= 2 * MAX_LINES) {
    const text = kept.map((line) => `${JSON.stringify(line)}\n`).join('')
    await writeWhole(path, text).catch(() => undefined) // keeping the next line tells what is wrong
  }
  return kept
}

async function endOf(path: string): Promise<string> {
  try {
    const handle = await open(path, 'r')
    try {
      const facts = await handle.stat()
      if (!facts.isFile()) return ''
      const start = Math.max(0, facts.size - MAX_BYTES)
      const bytes = Buffer.alloc(facts.size - start)
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
      return bytes.toString('utf8', 0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch {
    return ''
  }
}
