/** The page of a run, where it can be had. */
import { UsageError } from '../../../errors.ts'
import type { Listening } from '../../../node/server/listen.ts'
import { watchRun } from '../../../node/train/watch/watch-run.ts'

/** The usual port: the same address in the next run, as long as it is free. */
const PORT = 8090

/** @param port unset: the usual one, or else a free one */
export async function startWatching(folder: string, port?: number): Promise<Listening> {
  if (port !== undefined) return watchRun(folder, { port })
  try {
    return await watchRun(folder, { port: PORT })
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return watchRun(folder, { port: 0 })
  }
}
