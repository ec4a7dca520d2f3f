/**
 * Writes a packed image, under another name first: what has the image's name is whole, however this
 * process ends, and never changes under those who have mapped it, as the name is that of the content. It is not forced to the disk, which would take seconds: after a power cut the checksum
 * finds what is missing.
 */
import type { FileHandle } from 'node:fs/promises'
import type { Backend } from '../../backends/backend.ts'
import type { DeviceBuffer } from '../../kernels/slice.ts'
import { discardAside, openAside, putInPlace, writeFully } from '../files/write-file.ts'
import { CHECKSUM_OFFSET, encodeChecksum, type encodeStart } from './image-file.ts'
import { contentPath, partialPath } from './image-folder.ts'

/**
 * Pieces of whole large pages, 2 MiB: Linux then keeps the file in such pages and maps them as such,
 * which decoding needs to read memory at full speed.
 */
const PIECE_BYTES = 4 << 20

/**
 * @param place of the image: folder and name, to which its content adds the rest
 * @param buffers those of the image's ranges, in their order
 * @returns its path, which no other content ever has
 * @throws Error of the system, and nothing is left then; BackendError
 */
export async function writeImage(
  backend: Backend,
  place: string,
  image: ReturnType<typeof encodeStart>,
  buffers: readonly DeviceBuffer[],
): Promise<string> {
  const file = await openAside(place, partialPath)
  try {
    await writePieces(file.handle, contents(backend, image, buffers))
    const checksum = await backend.files?.checksum(file.aside)
    if (checksum === undefined) throw new Error('The backend does not check files.')
    await writeFully(file.handle, encodeChecksum(checksum), CHECKSUM_OFFSET)
    const target = contentPath(place, checksum)
    await putInPlace({ ...file, target })
    return target
  } catch (error) {
    await discardAside(file)
    throw error
  }
}

/** All bytes of an image in order. */
async function* contents(
  backend: Backend,
  { start, ranges, fileBytes }: ReturnType<typeof encodeStart>,
  buffers: readonly DeviceBuffer[],
): AsyncGenerator<Uint8Array> {
  yield start
  let end = start.length
  for (const [i, { byteOffset, byteLength }] of ranges.entries()) {
    yield new Uint8Array(byteOffset - end)
    yield backend.map?.(buffers[i]) ?? (await backend.read(buffers[i]))
    end = byteOffset + byteLength
  }
  yield new Uint8Array(fileBytes - end)
}

async function writePieces(handle: FileHandle, parts: AsyncIterable<Uint8Array>): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES)
  let [written, filled] = [0, 0]
  const flush = async (): Promise<void> => {
    await writeFully(handle, piece.subarray(0, filled), written)
    written += filled
    filled = 0
  }
  for await (const part of parts) {
    for (let done = 0; done < part.length; ) {
      const next = part.subarray(done, done + PIECE_BYTES - filled)
      piece.set(next, filled)
      filled += next.length
      done += next.length
      if (filled === PIECE_BYTES) await flush()
    }
  }
  await flush()
}
