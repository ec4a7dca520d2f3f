/**
 * Writing files so that whoever reads them sees all of one or none.
 */
import { randomUUID } from 'node:crypto'
import { type FileHandle, open, realpath, rename, rm } from 'node:fs/promises'
import { UsageError } from '../../errors.ts'
import { MAX_CALL_BYTES, namingFile, statOf } from './system.ts'

/** A file under another name, until it is whole. */
export interface AsideFile {
  readonly handle: FileHandle
  /** The other name: nobody else uses it. */
  readonly aside: string
  /** Its own, where a link leads. */
  readonly target: string
}

/**
 * A new file that is to take the place of another, or of none, with the rights of what is there.
 *
 * @param nameAside gives the other name
 * @throws the system's error; UsageError if there is something else than a file
 */
export async function openAside(path: string, nameAside = asideOf): Promise<AsideFile> {
  const target = await realpath(path).catch(() => path)
  const found = await statOf(target)
  if (found?.isFile() === false) {
    throw new UsageError(`Expected a file or nothing at ${path}, got something else.`)
  }
  const aside = nameAside(target)
  const handle = await open(aside, 'wx', found?.mode).catch((error: unknown) => {
    throw namingFile(path, error)
  })
  return { target, aside, handle }
}

/** Before long work whose result goes to a file. @throws as {@link openAside} does */
export async function requirePlace(path: string): Promise<void> {
  await discardAside(await openAside(path))
}

/** Gives the file its own name. */
export async function putInPlace({ handle, aside, target }: AsideFile): Promise<void> {
  await handle.close()
  await rename(aside, target)
}

/** Nothing is left, and what was there stays. */
export async function discardAside({ handle, aside }: AsideFile): Promise<void> {
  await handle.close().catch(() => {})
  await rm(aside, { force: true })
}

/** Writes a file under another name and gives it its own when it is whole; nothing is left on failure. */
export async function writeAside(
  path: string,
  write: (handle: FileHandle, aside: string) => Promise<void>,
  nameAside?: (path: string) => string,
): Promise<void> {
  const file = await openAside(path, nameAside)
  try {
    await write(file.handle, file.aside)
    await putInPlace(file)
  } catch (error) {
    await discardAside(file)
    throw namingFile(path, error)
  }
}

/** A name beside a file that is nobody else's. */
export function asideOf(path: string): string {
  return `${path}.${randomUUID()}.part`
}

/** Puts a small file in place of another, or of none, once it is on the disk. */
export function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  return writeAside(path, async (handle) => {
    await handle.writeFile(content)
    await handle.sync()
  })
}

/** One call may write less than it was given. */
export async function writeFully(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, MAX_CALL_BYTES)
    const { bytesWritten } = await handle.write(bytes, done, length, position + done)
    done += bytesWritten
  }
}
