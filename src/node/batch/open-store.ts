/** Where batches are kept, by what a command line calls it. */
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { BatchStore } from '../../server/batch/store.ts'
import { stateFolder } from '../files/folders.ts'
import { makeFolder } from '../files/system.ts'
import { openRedisStore } from './redis-store.ts'
import { hasSqlite, openSqliteStore } from './sqlite-store.ts'

/** Whether it is an address of Redis. */
export function isRedis(queue: string): boolean {
  return /^rediss?:/i.test(queue)
}

/**
 * @param queue an address of Redis (redis:, rediss:), or the path of a SQLite file
 * @throws UsageError if there is none
 */
export function openBatchStore(queue: string): Promise<BatchStore> {
  return isRedis(queue) ? openRedisStore(queue) : openSqliteStore(queue)
}

/** Of a server that was told no place: one for each port, as servers have models of their own. */
function defaultQueue(port: number): string {
  return join(stateFolder(), `batches-${port}.sqlite`)
}

/**
 * The file of `defaultQueue`, which its owner alone can read; undefined without the package that it needs.
 *
 * @throws where it cannot be written
 */
export async function openDefaultStore(port: number): Promise<BatchStore | undefined> {
  if (!(await hasSqlite())) return undefined
  const path = defaultQueue(port)
  await makeFolder(dirname(path), 0o700)
  await (await open(path, 'a', 0o600)).close()
  return openSqliteStore(path)
}
