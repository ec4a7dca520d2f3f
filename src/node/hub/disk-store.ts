/**
 * Downloads to this machine's disks; names are paths.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DownloadTuning } from '../../hub/download/download-file.ts'
import { type Pace, USUAL_PACE } from '../../hub/download/patience.ts'
import type { DownloadStore, StoreFile } from '../../hub/download/store.ts'
import { acquireLock } from '../files/file-lock.ts'
import { freeBytes, requireFreeSpace } from '../files/free-space.ts'
import { fileSize } from '../files/system.ts'
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
    rename,
    remove: (name) => rm(name, { force: true }),
    lock: (name, waiting) => acquireLock(name, { ...waiting, pollMs: lockPollMs }),
    requireSpace: (name, bytes) => requireFreeSpace(name, bytes, { free, advice: ADVICE }),
    hasher(algorithm) {
      const hash = createHash(algorithm)
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') }
    },
  }
}

async function openStoreFile(name: string, access: 'read' | 'write'): Promise<StoreFile> {
  if (access === 'write') await mkdir(dirname(name), { recursive: true })
  const flags = access === 'read' ? constants.O_RDONLY : constants.O_RDWR | constants.O_CREAT
  const handle = await open(name, flags)
  return {
    read: async (bytes, offset) => (await handle.read(bytes, 0, bytes.length, offset)).bytesRead,
    write: (bytes, offset) => writeFully(handle, bytes, offset),
    truncate: (size) => handle.truncate(size),
    sync: () => handle.datasync(),
    close: () => handle.close(),
  }
}
