/**
 * Downloads into the browser's private files (OPFS); names are "folder/file", both of the store's making.
 */
import type { DownloadStore } from '../../hub/download/store.ts'
import { ifThere, namesIn } from '../private-folder.ts'
import type { OpenFile } from './files-of-page.ts'
import { holdLock } from './site-lock.ts'

export interface PrivateFiles extends DownloadStore {
  /** To be read; undefined if there is none. Several may read at once. */
  file(name: string): Promise<File | undefined>
  /** Names of the files in a folder; empty if there is none. */
  list(folder: string): Promise<string[]>
}

/** TypeScript's description of handles leaves it out. */
interface MovableHandle extends FileSystemFileHandle {
  move(folder: FileSystemDirectoryHandle, name: string): Promise<void>
}

/**
 * @param root has a folder for each model
 * @param open opens files to be written
 * @param noSpace the error of so many bytes that do not fit; undefined if they do, and nothing was thrown
 */
export function privateFiles(
  root: FileSystemDirectoryHandle,
  open: OpenFile,
  noSpace: (bytes: number, thrown?: unknown) => Promise<Error | undefined>,
): PrivateFiles {
  const placeOf = async (name: string, create = false) => {
    const [folder, file] = name.split('/')
    return { folder: await root.getDirectoryHandle(folder, { create }), file }
  }
  const handleOf = (name: string) =>
    ifThere(async () => {
      const { folder, file } = await placeOf(name)
      return folder.getFileHandle(file)
    })
  const fileOf = (name: string) => ifThere(async () => (await handleOf(name))?.getFile())
  const inWords = async (bytes: number, writing: Promise<void>): Promise<void> => {
    try {
      await writing
    } catch (error) {
      const isFull = error instanceof DOMException && error.name === 'QuotaExceededError'
      throw (isFull ? await noSpace(bytes, error) : undefined) ?? error
    }
  }
  return {
    file: fileOf,
    list: async (folder) =>
      (await ifThere(async () => namesIn(await root.getDirectoryHandle(folder)))) ?? [],
    async open(name, access) {
      const create = access === 'write'
      const { folder, file } = await placeOf(name, create)
      const opened = await open(await folder.getFileHandle(file, { create }))
      return {
        ...opened,
        write: (bytes, offset) => inWords(bytes.length, opened.write(bytes, offset)),
        truncate: (size) => inWords(size, opened.truncate(size)),
      }
    },
    size: async (name) => (await fileOf(name))?.size,
    async rename(from, to) {
      const { folder, file } = await placeOf(to, true)
      const handle = await (await placeOf(from)).folder.getFileHandle(from.split('/')[1])
      await (handle as MovableHandle).move(folder, file)
    },
    async remove(name) {
      await ifThere(async () => {
        const { folder, file } = await placeOf(name)
        await folder.removeEntry(file)
      })
    },
    async lock(name, waiting) {
      const release = await holdLock(name, 'exclusive', waiting)
      return async () => release()
    },
    async requireSpace(_, bytes) {
      const error = await noSpace(bytes)
      if (error !== undefined) throw error
    },
    async hasher(algorithm) {
      const { createSHA1, createSHA256 } = await import('hash-wasm')
      const hasher = await (algorithm === 'sha256' ? createSHA256() : createSHA1())
      return { update: (bytes) => void hasher.update(bytes), digest: () => hasher.digest('hex') }
    },
  }
}
