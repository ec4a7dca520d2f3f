/**
 * Bytes of a Blob or File, read where asked: browsers keep large ones on disk.
 */
import { FormatError } from '../errors.ts'
import { checkRange } from '../formats/memory-source.ts'
import type { ByteSource } from '../formats/model-file.ts'

/**
 * @param name unset: the File's own
 * @param advice what to do where it cannot be read any more
 */
export function blobSource(
  blob: Blob,
  name = blob instanceof File ? blob.name : 'blob',
  advice = 'Choose the file again.',
): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, length) {
      checkRange(name, blob.size, offset, length)
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer())
      } catch (cause) {
        // A File whose file was changed or removed after it was chosen.
        throw new FormatError(`${name} cannot be read any more. ${advice}`, {
          field: 'size',
          path: name,
          cause,
        })
      }
    },
    async close() {},
  }
}
