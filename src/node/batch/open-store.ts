/** Where batches are kept, by what a command line calls it. */
import type { BatchStore } from '../../server/batch/store.ts'
import { openRedisStore } from './redis-store.ts'
import { openSqliteStore } from './sqlite-store.ts'

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
