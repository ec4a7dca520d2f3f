/**
 * Writing files so that whoever reads them sees all of one or none.
 */
import { randomUUID } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'

/**
 * Writes a file under another name and gives it its own when it is whole; nothing is left on failure.
 *
 * @param aside the other name: nobody else may use it
 */
export async function writeAside(
  path: string,
  aside: string,
  write: (handle: FileHandle, aside: string) => Promise<void>,
): Promise<void> {
  try {
    const handle = await open(aside, 'wx')
    try {
      await write(handle, aside)
    } finally {
      await handle.close()
    }
    await rename(aside, path)
  } catch (error) {
    await rm(aside, { force: true })
    throw error
  }
}

/** A name beside a file that is nobody else's. */
export function asideOf(path: string): string {
  return `${path}.${randomUUID()}.part`
}

/** Puts a small file in place of another, or of none, once it is on the disk. */
export function writeWhole(path: string, text: string): Promise<void> {
  return writeAside(path, asideOf(path), async (handle) => {
    await handle.writeFile(text)
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
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}
