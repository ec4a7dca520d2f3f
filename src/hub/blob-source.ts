/**
 * Bytes of a Blob or File, read where asked: browsers keep large ones on disk.
 */
import { FormatError } from '../errors.ts'
import { checkRange } from '../formats/memory-source.ts'
import type { ByteSource } from '../formats/model-file.ts'

export function blobSource(blob: Blob, name: string = nameOf(blob)): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, length) {
      checkRange(name, blob.size, offset, length)
      return new Uint8Array(await readPart(blob, name, offset, length))
    },
    async close() {},
  }
}

function nameOf(blob: Blob): string {
  return 'name' in blob && typeof blob.name === 'string' ? blob.name : 'blob'
}

async function readPart(
  blob: Blob,
  name: string,
  offset: number,
  length: number,
): Promise<ArrayBuffer> {
  try {
    return await blob.slice(offset, offset + length).arrayBuffer()
  } catch (cause) {
    // A File whose file was changed or removed after it was chosen.
    throw new FormatError(`${name} cannot be read any more. Choose the file again.`, {
      field: 'size',
      path: name,
      cause,
    })
  }
}
