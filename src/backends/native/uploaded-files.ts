/**
 * Files of packed weights for a backend whose memory is not this process's: mapped and checked as the native
 * backend does, and copied from the mapping to where it wants them.
 */
import type { Backend, BackendFiles, MappedFile } from '../backend.ts'
import { nativeVariants, openNativeBackend } from './native-backend.ts'

/** Operands from which on no matrix is cut: an image does not say where it may be. */
const WHOLE_BYTES = 2 ** 30

/** @returns undefined where the native backend does not run, or matrices may have to be cut */
export function uploadedFiles(backend: Backend): BackendFiles | undefined {
  if ((backend.largestOperand ?? Infinity) < WHOLE_BYTES) return undefined
  try {
    nativeVariants()
  } catch {
    return undefined
  }
  return {
    map: (path) => mapped(backend, path),
    async checksum(path) {
      const native = openNativeBackend()
      try {
        return await native.files.checksum(path)
      } finally {
        await native.dispose()
      }
    },
  }
}

async function mapped(backend: Backend, path: string): Promise<MappedFile> {
  const native = openNativeBackend()
  const closed = () => void native.dispose()
  const file = await native.files.map(path).catch((error) => {
    closed()
    throw error
  })
  return {
    bytes: file.bytes,
    checksum: file.checksum,
    buffer({ label, byteOffset, byteLength }) {
      const own = backend.allocate(byteLength, label, 'weights')
      backend.write(own, 0, file.bytes.subarray(byteOffset, byteOffset + byteLength))
      return own
    },
    // All of it was copied.
    takeSparseEnd: async () => {},
    close() {
      file.close()
      closed()
    },
  }
}
