/**
 * Bytes of a file on disk, read where asked. Reads do not share a position, so several may run at once.
 */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { FormatError, ModelNotFoundError } from '../../errors.ts'
import { checkRange } from '../../formats/memory-source.ts'
import type { ByteSource } from '../../formats/model-file.ts'
import { errorCode, readFully } from './system.ts'

/**
 * @throws ModelNotFoundError if there is no such file, or it is not a file
 */
export async function openFileSource(path: string): Promise<ByteSource> {
  const handle = await openHandle(path)
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) {
      throw new ModelNotFoundError(`Expected a file at ${path}, got something else.`, {
        source: path,
      })
    }
    const { size } = stat
    const readAll = async (bytes: Uint8Array, offset: number): Promise<void> => {
      if ((await readFully(handle, bytes, offset)) === bytes.length) return
      throw new FormatError(
        `Expected ${bytes.length} bytes at ${offset} of ${path}, but the file became shorter.`,
        { field: 'size', path },
      )
    }
    return {
      name: path,
      size,
      async read(offset, length) {
        checkRange(path, size, offset, length)
        const bytes = new Uint8Array(length)
        await readAll(bytes, offset)
        return bytes
      },
      async readInto(bytes, offset) {
        checkRange(path, size, offset, bytes.length)
        await readAll(bytes, offset)
      },
      close: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function openHandle(path: string): Promise<FileHandle> {
  try {
    // What is a pipe must not be waited for: it is refused.
    return await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    const code = errorCode(error)
    const why = code === 'EACCES' || code === 'EPERM' ? 'it may not be read' : 'there is none'
    throw new ModelNotFoundError(`Expected a readable file at ${path}, but ${why}.`, {
      source: path,
    })
  }
}
