/**
 * Files for a page, which may not open them to be written at any place: a worker of its own does.
 */
import { BitnetError } from '../../errors.ts'
import type { StoreFile } from '../../hub/download/store.ts'

type FileCall =
  | { readonly call: 'open'; readonly handle: FileSystemFileHandle }
  | { readonly call: 'read'; readonly offset: number; readonly length: number }
  | { readonly call: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly call: 'truncate'; readonly size: number }
  | { readonly call: 'sync' | 'close' }

export type FileRequest = FileCall & { readonly id: number; readonly file: number }

export interface FileAnswer {
  readonly id: number
  readonly bytes?: Uint8Array | undefined
  /** What was thrown: a DOMException keeps its name on the way. */
  readonly error?: unknown
}

export type OpenFile = (handle: FileSystemFileHandle) => Promise<StoreFile>

/** Opens files by a worker, which starts with the first and ends when none is open any more. */
export function filesOfPage(): OpenFile {
  let worker: Worker | undefined
  let last = 0
  const open = new Set<number>()
  const waiting = new Map<number, (answer: Omit<FileAnswer, 'id'>) => void>()

  const end = (): void => {
    worker?.terminate()
    worker = undefined
  }
  const start = (): Worker => {
    // Written out in one expression: this is the form that bundlers look for.
    const started = new Worker(new URL('./files-worker.js', import.meta.url), { type: 'module' })
    started.onmessage = ({ data }: MessageEvent<FileAnswer>) => waiting.get(data.id)?.(data)
    started.onerror = ({ message }) => {
      const reason = message || 'its script does not load or run'
      const error = new BitnetError(
        'CACHE',
        `The worker that writes the files of kept models failed: ${reason}. See that files-worker.js of this ` +
          'package is where its other scripts are, or load the model in a worker of your own, which needs no other.',
      )
      end()
      for (const settle of waiting.values()) settle({ error })
    }
    return started
  }
  const ask = (file: number, request: FileCall): Promise<Uint8Array | undefined> =>
    new Promise((resolve, reject) => {
      worker ??= start()
      const id = ++last
      waiting.set(id, ({ bytes, error }) => {
        waiting.delete(id)
        if (error === undefined) resolve(bytes)
        else reject(error)
      })
      worker.postMessage({ ...request, id, file } satisfies FileRequest)
    })
  const opened = (file: number): StoreFile => {
    const tell = async (request: FileCall): Promise<void> => void (await ask(file, request))
    return {
      async read(bytes, offset) {
        const read = await ask(file, { call: 'read', offset, length: bytes.length })
        bytes.set(read ?? [])
        return read?.length ?? 0
      },
      // A view would take all of its memory along.
      write: (bytes, offset) => tell({ call: 'write', offset, bytes: bytes.slice() }),
      truncate: (size) => tell({ call: 'truncate', size }),
      sync: () => tell({ call: 'sync' }),
      async close() {
        await tell({ call: 'close' })
        open.delete(file)
        if (open.size === 0) end()
      },
    }
  }
  return async (handle) => {
    const file = ++last
    open.add(file)
    try {
      await ask(file, { call: 'open', handle })
    } catch (error) {
      open.delete(file)
      throw error
    }
    return opened(file)
  }
}
