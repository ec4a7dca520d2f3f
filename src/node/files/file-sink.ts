/**
 * Writes a file that appears under its name only when it is whole: bytes go to a neighbour with
 * ".partial" at the end, which `finish` renames and `discard` removes.
 */
import { open, rename, rm } from 'node:fs/promises'
import type { ByteSink } from '../../formats/byte-sink.ts'
import { requireFreeSpace } from './free-space.ts'

interface FileSink extends ByteSink {
  reserve(bytes: number): Promise<void>
  finish(): Promise<void>
  discard(): Promise<void>
}

/** @throws the system's error if the place cannot be written to */
export async function openFileSink(path: string): Promise<FileSink> {
  const partial = `${path}.partial`
  const handle = await open(partial, 'w')
  return {
    reserve: (bytes) => requireFreeSpace(partial, bytes),
    async write(bytes) {
      for (let done = 0; done < bytes.length; ) {
        done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten
      }
    },
    async finish() {
      await handle.sync()
      await handle.close()
      await rename(partial, path)
    },
    async discard() {
      await handle.close()
      await rm(partial, { force: true })
    },
  }
}
