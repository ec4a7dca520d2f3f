/**
 * Downloads to this machine's disks; names are paths.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '../../checks.ts'
import { BitnetError } from '../../errors.ts'
import type { DownloadTuning } from '../../hub/download/download-file.ts'
import { type Pace, USUAL_PACE } from '../../hub/download/patience.ts'
import type { DownloadStore, StoreFile } from '../../hub/download/store.ts'
import { acquireLock } from '../files/file-lock.ts'
import { freeBytes, requireFreeSpace } from '../files/free-space.ts'
import { errorCode, existingPath, fileSize, makeFolder, requireWritable } from '../files/system.ts'
import { writeFully } from '../files/write-file.ts'

/** How downloads go about on a disk; tests have smaller numbers. */
export interface DiskTuning extends DownloadTuning {
  readonly pace: Pace
  readonly lockPollMs?: number
  /** Bytes that may still be written to the disk of a folder. */
  readonly freeBytes: (folder: string) => Promise<number>
}

export const USUAL_TUNING: DiskTuning = {
  pace: USUAL_PACE,
  // One connection to a storage server rarely fills a fast line; more than a few are rude.
  connections: 4,
  pieceBytes: 32 << 20,
  freeBytes,
}

const ADVICE =
  'Make room (bitnet cache rm removes models), or set HF_HUB_CACHE to a folder on another disk.'

export function diskStore({
  lockPollMs,
  freeBytes: free,
}: Pick<DiskTuning, 'lockPollMs' | 'freeBytes'> = USUAL_TUNING): DownloadStore {
  return {
    open: openStoreFile,
    size: fileSize,
    rename: (from, to) => inWords(to, () => rename(from, to)),
    remove: (name) => inWords(name, () => rm(name, { force: true })),
    lock: (name, waiting) =>
      inWords(name, () => acquireLock(name, { ...waiting, pollMs: lockPollMs })),
    requireSpace: (name, bytes) => requireFreeSpace(name, bytes, { free, advice: ADVICE }),
    async hasher(algorithm) {
      const hash = createHash(algorithm)
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') }
    },
  }
}

async function openStoreFile(name: string, access: 'read' | 'write'): Promise<StoreFile> {
  const flags = access === 'read' ? constants.O_RDONLY : constants.O_RDWR | constants.O_CREAT
  const handle = await inWords(name, async () => {
    if (access === 'write') await makeFolder(dirname(name))
    return open(name, flags)
  })
  return {
    read: async (bytes, offset) => (await handle.read(bytes, 0, bytes.length, offset)).bytesRead,
    write: (bytes, offset) => inWords(name, () => writeFully(handle, bytes, offset)),
    truncate: (size) => inWords(name, () => handle.truncate(size)),
    sync: () => inWords(name, () => handle.datasync()),
    close: () => handle.close(),
  }
}

/**
 * Said before a hub is asked, which may take minutes to be found silent.
 *
 * @throws BitnetError with code CACHE if nothing may be written in a folder that is there, or is to be made
 */
export async function requireCache(folder: string): Promise<void> {
  const existing = await existingPath(folder)
  await inWords(folder, () => requireWritable(existing))
}

async function inWords<T>(name: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } catch (error) {
    throw cacheError(error, name)
  }
}

/** What the system says of the cache's disk, and what to do about it; other errors as they are. */
export function cacheError(error: unknown, name: string): unknown {
  const code = errorCode(error)
  if (error instanceof BitnetError || typeof code !== 'string' || !/^E[A-Z]+$/.test(code))
    return error
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new BitnetError('DISK_FULL', `There is no space left for ${name}. ${ADVICE}`)
  }
  return new BitnetError(
    'CACHE',
    `The cache cannot be written to: ${messageOf(error)}. Check the rights of its folder, or set ` +
      'HF_HUB_CACHE to another one.',
    { cause: error },
  )
}
