/**
 * Writes a file that appears under its name only when it is whole: bytes go to a neighbour with
 * ".partial" at the end, which `finish` renames and `discard` removes.
 */
import { open, rename, rm } from 'node:fs/promises'
import type { ByteSink } from '../../formats/byte-sink.ts'
import { requireFreeSpace } from './free-space.ts'
import { writeFully } from './write-file.ts'

interface FileSink extends ByteSink {
  reserve(bytes: number): Promise<void>
  finish(): Promise<void>
  discard(): Promise<void>
}

/** @throws the system's error if the place cannot be written to */
export async function openFileSink(path: string): Promise<FileSink> {
  const partial = `${path}.partial`
  const handle = await open(partial, 'w')
  let written = 0
  return {
    reserve: (bytes) => requireFreeSpace(partial, bytes),
    async write(bytes) {
      await writeFully(handle, bytes, written)
      written += bytes.length
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
