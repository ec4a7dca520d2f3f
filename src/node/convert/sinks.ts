/**
 * Writes a file, or a folder of files, that appears under its name only when it is whole: bytes go to a
 * neighbour with a name of its own, which `finish` renames and `discard` removes. Two conversions to one
 * place do not meet, and the one that ends last is what is there.
 */
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { UsageError } from '../../errors.ts'
import { acquireLock } from '../files/file-lock.ts'
import { requireFreeSpace } from '../files/free-space.ts'
import { errorCode, namingFile, placeOf, statOf } from '../files/system.ts'
import { asideOf, discardAside, openAside, putInPlace, writeFully } from '../files/write-file.ts'

/** Weights of an earlier checkpoint in the same folder: a reader would take them for this one's. */
const WEIGHT_FILES = /^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/
/** Held only while files change places. */
const LOCK_FILE = '.bitnet-convert.lock'

/** A file. @throws the system's error if the place cannot be written to */
export async function openFileSink(path: string) {
  const file = await openAside(path)
  let written = 0
  return {
    reserve: (bytes: number) => requireFreeSpace(file.aside, bytes),
    async write(bytes: Uint8Array) {
      await writeFully(file.handle, bytes, written)
      written += bytes.length
    },
    async finish() {
      await file.handle.sync()
      await putInPlace(file)
    },
    discard: () => discardAside(file),
  }
}

/** A folder of files. @throws the system's error if the place cannot be written to */
export async function openCheckpointFolder(path: string) {
  const target = await placeOf(path)
  const isThere = (await statOf(target)) !== undefined
  // Inside a folder that is there: what is beside it may be another disk, or not to be written to.
  const aside = isThere ? asideOf(join(target, '.bitnet')) : asideOf(target)
  await mkdir(aside).catch((error: unknown) => {
    throw namingFile(path, error)
  })
  let current: Awaited<ReturnType<typeof openFileSink>> | undefined
  return {
    reserve: (bytes: number) => requireFreeSpace(aside, bytes),
    /** Opens the next file and completes the one before. */
    async file(name: string) {
      await current?.finish()
      current = undefined
      current = await openFileSink(join(aside, name))
      return current
    },
    async finish() {
      await current?.finish()
      current = undefined
      if (isThere || !(await tookName(aside, target))) await moveInto(aside, target)
    },
    async discard() {
      await current?.discard()
      await rm(aside, { recursive: true, force: true })
    },
  }
}

/** @returns false if a folder of that name has come meanwhile */
async function tookName(aside: string, target: string): Promise<boolean> {
  try {
    await rename(aside, target)
    return true
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(String(errorCode(error)))) return false
    throw error
  }
}

/** Only weights are removed from a folder that exists: whatever else lies there may be somebody's. */
async function moveInto(aside: string, target: string): Promise<void> {
  const release = await acquireLock(join(target, LOCK_FILE))
  try {
    const written = await readdir(aside)
    for (const name of written) {
      if ((await statOf(join(target, name)))?.isDirectory() !== true) continue
      throw new UsageError(`Expected a file or nothing at ${join(target, name)}, got a folder.`)
    }
    for (const name of await readdir(target)) {
      if (WEIGHT_FILES.test(name) && !written.includes(name)) await rm(join(target, name))
    }
    for (const name of written) await rename(join(aside, name), join(target, name))
    await rmdir(aside)
  } finally {
    await release()
  }
}
