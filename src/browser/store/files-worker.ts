/**
 * Opens, reads and writes files for a page, which may not itself. It runs as a worker of files-of-page.ts.
 */
import type { StoreFile } from '../../hub/download/store.ts'
import type { FileAnswer, FileRequest } from './files-of-page.ts'
import { openSyncFile } from './sync-file.ts'

const files = new Map<number, StoreFile>()

async function answer(request: FileRequest): Promise<Uint8Array | undefined> {
  if (request.call === 'open') {
    files.set(request.file, await openSyncFile(request.handle))
    return undefined
  }
  const file = files.get(request.file)
  if (file === undefined) throw new Error(`The file ${request.file} is not open.`)
  switch (request.call) {
    case 'read': {
      const bytes = new Uint8Array(request.length)
      return bytes.subarray(0, await file.read(bytes, request.offset))
    }
    case 'write':
      await file.write(request.bytes, request.offset)
      return undefined
    case 'truncate':
      await file.truncate(request.size)
      return undefined
    case 'sync':
      await file.sync()
      return undefined
    case 'close':
      files.delete(request.file)
      await file.close()
      return undefined
  }
}

globalThis.onmessage = async ({ data }: MessageEvent<FileRequest>) => {
  const { id } = data
  const reply = (message: FileAnswer) => globalThis.postMessage(message)
  try {
    reply({ id, bytes: await answer(data) })
  } catch (error) {
    reply({ id, error })
  }
}
