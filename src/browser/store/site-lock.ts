/**
 * Locks that all pages and workers of a site share; one that a closed tab held is free again.
 */
import type { LockWaiting } from '../../hub/download/store.ts'

export type Release = () => void

/**
 * Waits for a lock.
 *
 * @param mode `shared` by all that read, or `exclusive`
 * @returns gives it back
 * @throws the signal's reason
 */
export async function holdLock(
  name: string,
  mode: LockMode,
  { signal, onWait }: LockWaiting = {},
): Promise<Release> {
  const atOnce = await lockAtOnce(name, mode)
  if (atOnce !== undefined) return atOnce
  onWait?.()
  return new Promise((resolve, reject) => {
    const hold = () => new Promise<void>((release) => resolve(release))
    const options = { mode, ...(signal && { signal }) }
    navigator.locks.request(siteName(name), options, hold).catch(reject)
  })
}

/** Undefined if somebody else has it. */
export function lockAtOnce(name: string, mode: LockMode): Promise<Release | undefined> {
  return new Promise((resolve, reject) => {
    const hold = (lock: Lock | null): Promise<void> | undefined => {
      if (lock !== null) return new Promise((release) => resolve(release))
      resolve(undefined)
      return undefined
    }
    navigator.locks.request(siteName(name), { mode, ifAvailable: true }, hold).catch(reject)
  })
}

function siteName(name: string): string {
  return `bitnet-ts/${name}`
}
