/**
 * Where a run in a browser keeps its checkpoints: in memory, or in a folder of the browser's own (OPFS) or of the
 * disk that somebody chose. What tells where a run was is written last: a checkpoint without it is none.
 */
import { FormatError } from '../../errors.ts'
import { type ByteSink, memorySink } from '../../formats/byte-sink.ts'
import { memorySource } from '../../formats/memory-source.ts'
import type { ModelFolder } from '../../formats/model-folder.ts'
import { blobSource } from '../../hub/blob-source.ts'
import {
  type CheckpointContent,
  STATE_FILE,
  writeCheckpoint,
} from '../../train/checkpoint/checkpoint.ts'
import { namesIn } from '../private-folder.ts'

export interface CheckpointPlace {
  /** Whole checkpoints, the oldest first. */
  list(): Promise<string[]>
  save(name: string, content: CheckpointContent): Promise<void>
  remove(name: string): Promise<void>
  folder(name: string): ModelFolder
}

export function memoryCheckpoints(): CheckpointPlace {
  const kept = new Map<string, Map<string, Uint8Array>>()
  const filesOf = (name: string) => kept.get(name) ?? new Map<string, Uint8Array>()
  return {
    list: async () => [...kept.keys()],
    async save(name, content) {
      const sinks = new Map<string, ReturnType<typeof memorySink>>()
      const file = async (path: string) => {
        const sink = memorySink()
        sinks.set(path, sink)
        return sink
      }
      await writeCheckpoint({ file }, content)
      kept.set(name, new Map([...sinks].map(([path, sink]) => [path, sink.bytes()])))
    },
    async remove(name) {
      kept.delete(name)
    },
    folder: (name) => ({
      name,
      list: async () => [...filesOf(name).keys()],
      pathOf: (file) => `${name}/${file}`,
      async open(file) {
        const path = `${name}/${file}`
        return memorySource(there(filesOf(name).get(file), path), path)
      },
      read: async (file) => filesOf(name).get(file),
    }),
  }
}

export function folderCheckpoints(root: FileSystemDirectoryHandle): CheckpointPlace {
  const handleOf = async (name: string, file: string) => {
    const folder = await root.getDirectoryHandle(name).catch(() => undefined)
    return folder?.getFileHandle(file).catch(() => undefined)
  }
  return {
    async list() {
      const names: string[] = []
      for (const name of await namesIn(root)) {
        if (/^step-\d+$/.test(name) && (await handleOf(name, STATE_FILE))) names.push(name)
      }
      return names.sort()
    },
    async save(name, content) {
      await root.removeEntry(name, { recursive: true }).catch(() => undefined)
      const folder = await root.getDirectoryHandle(name, { create: true })
      let last: (ByteSink & { close(): Promise<void> }) | undefined
      const file = async (path: string) => {
        await last?.close()
        const handle = await folder.getFileHandle(path, { create: true })
        const stream = await handle.createWritable()
        last = {
          write: (bytes) => stream.write(bytes as Uint8Array<ArrayBuffer>),
          close: () => stream.close(),
        }
        return last
      }
      await writeCheckpoint({ file }, content)
      await last?.close()
    },
    remove: (name) => root.removeEntry(name, { recursive: true }),
    folder: (name) => ({
      name,
      list: async () => namesIn(await root.getDirectoryHandle(name)),
      pathOf: (file) => `${name}/${file}`,
      async open(file) {
        const path = `${name}/${file}`
        return blobSource(await there(await handleOf(name, file), path).getFile(), path)
      },
      async read(file) {
        const handle = await handleOf(name, file)
        return handle && new Uint8Array(await (await handle.getFile()).arrayBuffer())
      },
    }),
  }
}

function there<T>(found: T | undefined, path: string): T {
  if (found !== undefined) return found
  throw new FormatError(`Expected ${path} in the checkpoint, got none.`, { field: path, path })
}
