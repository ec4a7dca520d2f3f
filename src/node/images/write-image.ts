/**
 * Writes a packed image, under another name first: what has the image's name is whole, however this
 * process ends. It is not forced to the disk, which would take seconds: after a power cut the checksum
 * finds what is missing.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import type { Backend } from '../../backends/backend.ts'
import type { DeviceBuffer } from '../../kernels/slice.ts'
import { CHECKSUM_OFFSET, encodeChecksum } from './image-file.ts'
import { partialPath } from './image-folder.ts'

export interface ImagePart {
  readonly buffer: DeviceBuffer
  readonly byteOffset: number
}

/**
 * Pieces of whole large pages, 2 MiB: Linux then keeps the file in such pages and maps them as such,
 * which decoding needs to read memory at full speed.
 */
const PIECE_BYTES = 4 << 20

/**
 * @param start preamble and manifest
 * @param parts in the order of their places
 * @throws Error of the system, and nothing is left then; BackendError
 */
export async function writeImage(
  backend: Backend,
  path: string,
  image: {
    readonly start: Uint8Array
    readonly parts: readonly ImagePart[]
    readonly fileBytes: number
  },
): Promise<void> {
  const partial = partialPath(path)
  try {
    const handle = await open(partial, 'wx')
    try {
      const pieces = new PieceWriter(handle)
      await pieces.write(image.start, 0)
      for (const { buffer, byteOffset } of image.parts) {
        const bytes = backend.map?.(buffer) ?? (await backend.read(buffer, 0, buffer.byteLength))
        await pieces.write(bytes, byteOffset)
      }
      await pieces.end(image.fileBytes)
      const checksum = await backend.checksumFile?.(partial)
      if (checksum === undefined) throw new Error('The backend does not check files.')
      await writeAll(handle, encodeChecksum(checksum), CHECKSUM_OFFSET)
    } finally {
      await handle.close()
    }
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}

/** Puts parts and the zeros between them together to pieces of one size. */
class PieceWriter {
  readonly #handle: FileHandle
  readonly #piece = new Uint8Array(PIECE_BYTES)
  /** Of the file, and of them those in the piece. */
  #byteLength = 0
  #filled = 0

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async write(bytes: Uint8Array, byteOffset: number): Promise<void> {
    await this.#fill(byteOffset - this.#byteLength, undefined)
    await this.#fill(bytes.length, bytes)
  }

  async end(fileBytes: number): Promise<void> {
    await this.#fill(fileBytes - this.#byteLength, undefined)
    await this.#flush()
  }

  async #fill(count: number, bytes: Uint8Array | undefined): Promise<void> {
    for (let done = 0; done < count; ) {
      const length = Math.min(count - done, PIECE_BYTES - this.#filled)
      if (bytes === undefined) this.#piece.fill(0, this.#filled, this.#filled + length)
      else this.#piece.set(bytes.subarray(done, done + length), this.#filled)
      this.#filled += length
      this.#byteLength += length
      done += length
      if (this.#filled === PIECE_BYTES) await this.#flush()
    }
  }

  async #flush(): Promise<void> {
    await writeAll(
      this.#handle,
      this.#piece.subarray(0, this.#filled),
      this.#byteLength - this.#filled,
    )
    this.#filled = 0
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}
