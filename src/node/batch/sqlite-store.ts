/**
 * Batches in a SQLite file: for one machine, any number of processes. Needs the package better-sqlite3, which
 * only batches need.
 */
import type { Database } from 'better-sqlite3'
import { messageOf } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import { type Ending, endingOf, resultFile, unbegunLine } from '../../server/batch/endings.ts'
import {
  type Batch,
  type BatchStore,
  BatchStoreError,
  type LineResult,
  type NewLine,
  RESULT_KINDS,
  type ResultKind,
  type StoredFile,
  type TakenLine,
} from '../../server/batch/store.ts'
import { createdNow } from '../../server/openai/fields.ts'
import { errorCode } from '../files/system.ts'

const TABLES = `
  CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, filename TEXT NOT NULL, purpose TEXT NOT NULL,
    createdAt INTEGER NOT NULL, content BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS batches (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, endpoint TEXT NOT NULL, inputFile TEXT NOT NULL,
    window TEXT NOT NULL, metadata TEXT, status TEXT NOT NULL, faults TEXT NOT NULL,
    createdAt INTEGER NOT NULL, expiresAt INTEGER NOT NULL, endedAt INTEGER, cancelledAt INTEGER,
    outputFile TEXT, errorFile TEXT);
  CREATE TABLE IF NOT EXISTS lines (
    batch TEXT NOT NULL, number INTEGER NOT NULL, customId TEXT NOT NULL, body TEXT NOT NULL,
    worker TEXT, leasedUntil REAL NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
    isError INTEGER, result TEXT, PRIMARY KEY (batch, number)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS openLines ON lines (leasedUntil) WHERE result IS NULL;
`
const OPEN = "('in_progress', 'cancelling')"

type BatchRow = Omit<Batch, 'metadata' | 'faults' | 'counts'> & {
  readonly metadata: string | null
  readonly faults: string
}

/** In the head of the file: what SQLite keeps for telling whose a file is. */
const OURS = 0x62_69_74_71
/** What has nothing to do with the file's content: the disk, or who may write there. */
const OF_THE_DISK = /^SQLITE_(FULL|IOERR|CANTOPEN|READONLY|PERM)/

/** Whether the package is there. */
export async function hasSqlite(): Promise<boolean> {
  return import('better-sqlite3').then(
    () => true,
    () => false,
  )
}

/**
 * @throws UsageError if the package is not there, or the file is none of its own; BatchStoreError where it cannot
 *   be written
 */
export async function openSqliteStore(path: string): Promise<BatchStore> {
  const { default: Sqlite } = await import('better-sqlite3').catch(() => {
    throw new UsageError(
      'Expected the package better-sqlite3, which keeps batches. Install it beside this one: ' +
        'npm install better-sqlite3',
    )
  })
  let database: Database
  try {
    database = new Sqlite(path)
    // Before anything is changed: somebody may have other things in a file of SQLite.
    const isNew = database.prepare('SELECT 1 FROM sqlite_master').get() === undefined
    const owner = database.pragma('application_id', { simple: true })
    if (!isNew && owner !== OURS) throw new Error('another program keeps its data there')
    database.pragma('journal_mode = WAL')
    database.pragma('busy_timeout = 10000')
    database.pragma(`application_id = ${OURS}`)
    database.exec(TABLES)
  } catch (error) {
    if (OF_THE_DISK.test(codeOf(error))) throw unusable(path, error)
    throw new UsageError(`Expected ${path} to be a file of batches: ${messageOf(error)}.`)
  }
  return new SqliteStore(database, path)
}

function codeOf(error: unknown): string {
  return String(errorCode(error))
}

function unusable(path: string, cause: unknown): BatchStoreError {
  const advice = codeOf(cause) === 'SQLITE_FULL' ? 'Make room' : 'Mend that'
  return new BatchStoreError(
    `Cannot keep batches in ${path}: ${messageOf(cause)}. ${advice}, and go on; what is in it stays.`,
    { cause },
  )
}

class SqliteStore implements BatchStore {
  readonly #database: Database
  readonly #path: string

  constructor(database: Database, path: string) {
    this.#database = database
    this.#path = path
  }

  /** A file is there or says at once that it is not. */
  ready(): Promise<void> {
    return Promise.resolve()
  }

  async addFile(
    owner: string,
    { id, filename, purpose, createdAt }: Omit<StoredFile, 'bytes'>,
    content: Uint8Array,
  ): Promise<StoredFile> {
    this.#run('INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)', [
      id,
      owner,
      filename,
      purpose,
      createdAt,
      content,
    ])
    return { id, filename, purpose, createdAt, bytes: content.byteLength }
  }

  async file(owner: string, id: string): Promise<StoredFile | undefined> {
    return this.#rows<StoredFile>(`${FILES} AND id = ?`, [owner, id])[0]
  }

  async files(owner: string): Promise<readonly StoredFile[]> {
    return this.#rows<StoredFile>(`${FILES} ORDER BY createdAt DESC, id LIMIT 10000`, [owner])
  }

  async content(owner: string, id: string): Promise<Uint8Array | undefined> {
    const sql = 'SELECT content FROM files WHERE owner = ? AND id = ?'
    return this.#rows<{ readonly content: Uint8Array }>(sql, [owner, id])[0]?.content
  }

  async removeFile(owner: string, id: string): Promise<boolean> {
    return this.#run('DELETE FROM files WHERE owner = ? AND id = ?', [owner, id]) > 0
  }

  async addBatch(batch: Omit<Batch, 'counts'>, lines: readonly NewLine[]): Promise<void> {
    this.#together(() => {
      const { metadata, faults, ...rest } = batch
      const row = {
        ...rest,
        metadata: metadata === undefined ? null : JSON.stringify(metadata),
        faults: JSON.stringify(faults),
      }
      const names = Object.keys(row)
      const places = names.map(() => '?')
      const values = Object.values(row).map((value) => value ?? null)
      this.#run(`INSERT INTO batches (${names}) VALUES (${places})`, values)
      const sql = 'INSERT INTO lines (batch, number, customId, body) VALUES (?, ?, ?, ?)'
      const insert = this.#database.prepare(sql)
      for (const [i, { customId, body }] of lines.entries()) {
        insert.run(batch.id, i + 1, customId, body)
      }
    })
  }

  async batch(owner: string, id: string): Promise<Batch | undefined> {
    const [row] = this.#rows<BatchRow>('SELECT * FROM batches WHERE owner = ? AND id = ?', [
      owner,
      id,
    ])
    return row && this.#batchOf(row)
  }

  async batches(owner: string, limit: number, after = ''): Promise<readonly Batch[]> {
    const sql = `SELECT * FROM batches WHERE owner = ? AND (? = '' OR rowid <
      (SELECT rowid FROM batches WHERE id = ?)) ORDER BY rowid DESC LIMIT ?`
    return this.#rows<BatchRow>(sql, [owner, after, after, limit]).map((row) => this.#batchOf(row))
  }

  async cancel(owner: string, id: string): Promise<Batch | undefined> {
    const sql = `UPDATE batches SET status = 'cancelling', cancelledAt = ?
      WHERE owner = ? AND id = ? AND status = 'in_progress'`
    this.#run(sql, [createdNow(), owner, id])
    return this.batch(owner, id)
  }

  async results(owner: string, id: string, kind: ResultKind): Promise<Uint8Array | undefined> {
    return (await this.batch(owner, id)) && this.#results(id, kind)
  }

  async take(worker: string, count: number, leaseSeconds: number): Promise<readonly TakenLine[]> {
    const sql = `UPDATE lines SET worker = ?, leasedUntil = ?, tries = tries + 1
      WHERE (batch, number) IN (
        SELECT lines.batch, lines.number FROM lines JOIN batches ON batches.id = lines.batch
        WHERE result IS NULL AND leasedUntil <= ? AND batches.status = 'in_progress'
        ORDER BY batches.rowid, lines.number LIMIT ?)
      RETURNING batch, number, customId, body, tries,
        (SELECT endpoint FROM batches WHERE id = batch) AS endpoint,
        (SELECT owner FROM batches WHERE id = batch) AS owner`
    const time = Date.now() / 1000
    return this.#rows<TakenLine>(sql, [worker, time + leaseSeconds, time, count])
  }

  async renew(worker: string, leaseSeconds: number): Promise<void> {
    const sql = 'UPDATE lines SET leasedUntil = ? WHERE worker = ? AND result IS NULL'
    this.#run(sql, [Date.now() / 1000 + leaseSeconds, worker])
  }

  async settle({ batch, number }: TakenLine, { isError, text }: LineResult): Promise<boolean> {
    const sql = `UPDATE lines SET result = ?, isError = ?, worker = NULL
      WHERE batch = ? AND number = ? AND result IS NULL`
    return this.#run(sql, [text, isError ? 1 : 0, batch, number]) === 1
  }

  async postpone({ batch, number }: TakenLine, seconds: number): Promise<void> {
    const sql = `UPDATE lines SET worker = NULL, leasedUntil = ?
      WHERE batch = ? AND number = ? AND result IS NULL`
    this.#run(sql, [Date.now() / 1000 + seconds, batch, number])
  }

  async finish(): Promise<number> {
    return this.#together(() => {
      const open = this.#rows<BatchRow>(`SELECT * FROM batches WHERE status IN ${OPEN}`, [])
      let waiting = 0
      for (const row of open) {
        const left = this.#openLines(row.id)
        const ending = endingOf(row, left, createdNow())
        if (ending === undefined) waiting += left
        else this.#end(row, ending)
      }
      return waiting
    })
  }

  async close(): Promise<void> {
    this.#database.close()
  }

  #end(row: BatchRow, ending: Ending): void {
    const { id, owner } = row
    const open = this.#rows<{ readonly number: number; readonly customId: string }>(
      'SELECT number, customId FROM lines WHERE batch = ? AND result IS NULL',
      [id],
    )
    for (const line of open) {
      const { text } = unbegunLine({ batch: id, ...line }, ending)
      const sql = 'UPDATE lines SET isError = 1, result = ? WHERE batch = ? AND number = ?'
      this.#run(sql, [text, id, line.number])
    }
    const files = RESULT_KINDS.map((kind) => {
      const content = this.#results(id, kind)
      if (content === undefined) return null
      const file = resultFile(id, kind, createdNow())
      this.#run('INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)', [
        file.id,
        owner,
        file.filename,
        file.purpose,
        file.createdAt,
        content,
      ])
      return file.id
    })
    const sql = `UPDATE batches SET status = ?, endedAt = ?, outputFile = ?, errorFile = ? WHERE id = ?`
    this.#run(sql, [ending.status, createdNow(), ...files, id])
  }

  #results(batch: string, kind: ResultKind): Uint8Array | undefined {
    const sql = `SELECT group_concat(result, char(10)) AS text FROM
      (SELECT result FROM lines WHERE batch = ? AND isError = ? ORDER BY number)`
    const isError = kind === 'error' ? 1 : 0
    const [{ text }] = this.#rows<{ readonly text: string | null }>(sql, [batch, isError])
    return text === null ? undefined : Buffer.from(`${text}\n`)
  }

  #openLines(batch: string): number {
    const sql = 'SELECT count(*) AS count FROM lines WHERE batch = ? AND result IS NULL'
    return this.#rows<{ readonly count: number }>(sql, [batch])[0].count
  }

  #batchOf(row: BatchRow): Batch {
    const sql = `SELECT count(*) AS total, coalesce(sum(isError = 0), 0) AS completed,
      coalesce(sum(isError = 1), 0) AS failed FROM lines WHERE batch = ?`
    const [counts] = this.#rows<Batch['counts']>(sql, [row.id])
    return {
      ...row,
      metadata: row.metadata === null ? undefined : JSON.parse(row.metadata),
      faults: JSON.parse(row.faults),
      endedAt: row.endedAt ?? undefined,
      cancelledAt: row.cancelledAt ?? undefined,
      outputFile: row.outputFile ?? undefined,
      errorFile: row.errorFile ?? undefined,
      counts,
    }
  }

  #rows<Row>(sql: string, values: readonly unknown[]): Row[] {
    return this.#asked(() => this.#database.prepare(sql).all(...values) as Row[])
  }

  #run(sql: string, values: readonly unknown[]): number {
    return this.#asked(() => this.#database.prepare(sql).run(...values).changes)
  }

  /** All of it, or nothing; nobody else writes meanwhile. */
  #together<T>(work: () => T): T {
    return this.#asked(() => this.#database.transaction(work).immediate())
  }

  /** That somebody else writes for long may pass; what SQLite says else does not. */
  #asked<T>(ask: () => T): T {
    try {
      return ask()
    } catch (error) {
      const code = codeOf(error)
      if (!code.startsWith('SQLITE_') || code.startsWith('SQLITE_BUSY')) throw error
      throw unusable(this.#path, error)
    }
  }
}

const FILES =
  'SELECT id, filename, purpose, createdAt, length(content) AS bytes FROM files WHERE owner = ?'
