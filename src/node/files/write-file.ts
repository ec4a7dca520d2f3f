/**
 * Writing files so that whoever reads them sees all of one or none.
 */
import { randomUUID } from 'node:crypto'
import { type FileHandle, rename, rm, writeFile } from 'node:fs/promises'

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

/** Puts a small file in place of another, or of none. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const part = `${path}.${randomUUID()}.part`
  try {
    await writeFile(part, text)
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}
