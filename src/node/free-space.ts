/**
 * Whether a disk has room for what is about to be written.
 */
import { statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { BitnetError } from '../errors.ts'

/**
 * @param path the file or folder to be written; its folder must exist
 * @throws BitnetError with code DISK_FULL if fewer than `bytes` are free there
 */
export async function requireFreeSpace(path: string, bytes: number): Promise<void> {
  const folder = dirname(resolve(path))
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  if (free >= bytes) return
  const gigabytes = (n: number) => `${(n / 1e9).toFixed(2)} GB`
  throw new BitnetError(
    'DISK_FULL',
    `Expected ${gigabytes(bytes)} of free space in ${folder}, got ${gigabytes(free)}. ` +
      'Free some space, or write to another disk.',
  )
}
