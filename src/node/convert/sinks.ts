/**
 * Writes a file, or a folder of files, that appears under its name only when it is whole: bytes go to a
 * neighbour with ".partial" at the end, which `finish` renames and `discard` removes.
 */
import { mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { requireFreeSpace } from '../files/free-space.ts'
import { statOf } from '../files/system.ts'
import { writeFully } from '../files/write-file.ts'

/** Weights of an earlier checkpoint in the same folder: a reader would take them for this one's. */
const WEIGHT_FILES = /^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/

/** A file. @throws the system's error if the place cannot be written to */
export async function openFileSink(path: string) {
  const partial = `${path}.partial`
  const handle = await open(partial, 'w')
  let written = 0
  return {
    reserve: (bytes: number) => requireFreeSpace(partial, bytes),
    async write(bytes: Uint8Array) {
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

/** A folder of files. @throws the system's error if the place cannot be written to */
export async function openCheckpointFolder(path: string) {
  const partial = `${path}.partial`
  await rm(partial, { recursive: true, force: true })
  await mkdir(partial)
  let current: Awaited<ReturnType<typeof openFileSink>> | undefined
  return {
    reserve: (bytes: number) => requireFreeSpace(partial, bytes),
    /** Opens the next file and completes the one before. */
    async file(name: string) {
      await current?.finish()
      current = undefined
      current = await openFileSink(join(partial, name))
      return current
    },
    async finish() {
      await current?.finish()
      current = undefined
      await replaceFolder(partial, path)
    },
    async discard() {
      await current?.discard()
      await rm(partial, { recursive: true, force: true })
    },
  }
}

/** Only weights are removed from a folder that exists: whatever else lies there may be somebody's. */
async function replaceFolder(partial: string, path: string): Promise<void> {
  if ((await statOf(path)) === undefined) {
    await rename(partial, path)
    return
  }
  const written = await readdir(partial)
  for (const name of await readdir(path)) {
    if (WEIGHT_FILES.test(name) && !written.includes(name)) await rm(join(path, name))
  }
  for (const name of written) await rename(join(partial, name), join(path, name))
  await rmdir(partial)
}
