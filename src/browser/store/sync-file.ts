/**
 * A file of the browser's private ones, opened to be written at any place: what only dedicated workers may do.
 */
import type { StoreFile } from '../../hub/download/store.ts'

/** TypeScript's description of pages leaves out what workers have. */
export interface SyncFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<{
    read(bytes: Uint8Array, options: { at: number }): number
    write(bytes: Uint8Array, options: { at: number }): number
    truncate(size: number): void
    getSize(): number
    flush(): void
    close(): void
  }>
}

/** Whether files can be opened so here. */
export function hasSyncFiles(): boolean {
  return 'createSyncAccessHandle' in FileSystemFileHandle.prototype
}

export async function openSyncFile(handle: FileSystemFileHandle): Promise<StoreFile> {
  const file = await (handle as SyncFileHandle).createSyncAccessHandle()
  return {
    read: async (bytes, offset) => file.read(bytes, { at: offset }),
    async write(bytes, offset) {
      for (let done = 0; done < bytes.length; ) {
        const rest = bytes.subarray(done)
        const count = file.write(rest, { at: offset + done })
        // Where there is no room, Chromium gives a number below zero without its sign instead of an error.
        if (!(count > 0 && count <= rest.length)) throw full()
        done += count
      }
    },
    async truncate(size) {
      file.truncate(size)
      if (file.getSize() !== size) throw full()
    },
    sync: async () => file.flush(),
    close: async () => file.close(),
  }
}

function full(): DOMException {
  return new DOMException('There is no room for it.', 'QuotaExceededError')
}
