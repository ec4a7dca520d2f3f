/**
 * Whether a disk has room for what is about to be written.
 */
import { statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { noSpace } from '../../hub/download/no-space.ts'
import { existingPath } from './system.ts'

export interface SpaceOptions {
  /** What to do about a full disk; unset: in general terms. */
  readonly advice?: string
  /** For tests; unset: {@link freeBytes}. */
  readonly free?: (folder: string) => Promise<number>
}

/** Bytes that may still be written to the disk of a folder. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

/**
 * @param path the file or folder to be written; it and the folders above need not exist yet
 * @throws BitnetError with code DISK_FULL if fewer than `bytes` are free there
 */
export async function requireFreeSpace(
  path: string,
  bytes: number,
  { advice = 'Free some space, or write to another disk.', free = freeBytes }: SpaceOptions = {},
): Promise<void> {
  const folder = await existingPath(dirname(resolve(path)))
  const found = await free(folder)
  if (found >= bytes) return
  throw noSpace(bytes, found, `in ${folder}`, advice)
}
