/**
 * Whether packed images are whole: the same check that each gets before it is used.
 */
import { openNativeBackend } from '../../backends/native/native-backend.ts'
import { messageOf } from '../../checks.ts'
import { type ImageEntry, imageFolder, listImages } from './image-folder.ts'
import { readMappedImage } from './image-store.ts'

export interface ImageVerdict extends ImageEntry {
  /** What is wrong with it; absent where it is whole. */
  readonly problem?: string
}

/**
 * Reads all packed images and compares their checksums. Whether the model's file has changed since is
 * not looked at: an image that no longer fits is replaced when the model is loaded.
 *
 * @throws BackendError where the native backend, which alone uses images, does not run
 */
export async function verifyImages(folder: string = imageFolder()): Promise<ImageVerdict[]> {
  const backend = openNativeBackend()
  const verdicts: ImageVerdict[] = []
  try {
    for (const entry of await listImages(folder)) {
      try {
        const { mapped } = await readMappedImage(backend, entry.path)
        mapped.close()
        verdicts.push(entry)
      } catch (error) {
        const problem = messageOf(error)
        verdicts.push({ ...entry, problem })
      }
    }
  } finally {
    await backend.dispose()
  }
  return verdicts
}
