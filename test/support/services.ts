/** Programs of the system that tests of the server run, and ports for them. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { openBatchStore } from '../../src/node/batch/open-store.ts'

/** What REQUIRE_BACKENDS calls those that must be there. */
export const SERVICES: Readonly<Record<'redis' | 'haproxy', string>> = {
  redis: 'redis-server',
  haproxy: 'haproxy',
}

/** @throws Error if REQUIRE_BACKENDS names it and it is not there */
export function hasService(name: keyof typeof SERVICES): boolean {
  const isThere = spawnSync(SERVICES[name], ['-v']).status === 0
  const isRequired = (process.env['REQUIRE_BACKENDS'] ?? '').split(',').includes(name)
  if (isRequired && !isThere) {
    throw new Error(`REQUIRE_BACKENDS names ${name}, but there is no ${SERVICES[name]}.`)
  }
  return isThere
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Whether queues can be files here: better-sqlite3 need not be installed. */
export function hasSqlite(): Promise<boolean> {
  return openBatchStore(':memory:').then(
    (store) => store.close().then(() => true),
    () => false,
  )
}
