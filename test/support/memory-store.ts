/**
 * A store of downloads in memory, as a browser could keep one: files by name, locks of this process.
 */
import { createHash } from 'node:crypto'
import { BitnetError } from '../../src/errors.ts'
import type { DownloadStore, StoreFile } from '../../src/hub/download/store.ts'

export class MemoryStore implements DownloadStore {
  readonly files = new Map<string, Uint8Array>()
  /** Bytes that may be stored in all. */
  room = Number.POSITIVE_INFINITY
  readonly #locks = new Map<string, Promise<void>>()

  async open(name: string, access: 'read' | 'write'): Promise<StoreFile> {
    if (access === 'write' && !this.files.has(name)) this.files.set(name, new Uint8Array(0))
    // What is open goes on under another name, as on a disk.
    const file = { bytes: this.#found(name) }
    const store = (bytes: Uint8Array): void => {
      const current = [...this.files].find(([, content]) => content === file.bytes)
      file.bytes = bytes
      if (current !== undefined) this.files.set(current[0], bytes)
    }
    return {
      async read(bytes, offset) {
        const part = file.bytes.subarray(offset, offset + bytes.length)
        bytes.set(part)
        return part.length
      },
      async write(bytes, offset) {
        const grown = new Uint8Array(Math.max(file.bytes.length, offset + bytes.length))
        grown.set(file.bytes)
        grown.set(bytes, offset)
        store(grown)
      },
      async truncate(size) {
        const cut = new Uint8Array(size)
        cut.set(file.bytes.subarray(0, size))
        store(cut)
      },
      async sync() {},
      async close() {},
    }
  }

  async size(name: string): Promise<number | undefined> {
    return this.files.get(name)?.length
  }

  async rename(from: string, to: string): Promise<void> {
    this.files.set(to, this.#found(from))
    this.files.delete(from)
  }

  async remove(name: string): Promise<void> {
    this.files.delete(name)
  }

  async lock(
    name: string,
    { onWait }: { readonly onWait?: (() => void) | undefined },
  ): Promise<() => Promise<void>> {
    for (let held = this.#locks.get(name); held !== undefined; held = this.#locks.get(name)) {
      onWait?.()
      await held
    }
    let free = (): void => {}
    this.#locks.set(name, new Promise((resolve) => (free = resolve)))
    return async () => {
      this.#locks.delete(name)
      free()
    }
  }

  async requireSpace(name: string, bytes: number): Promise<void> {
    if (bytes <= this.room) return
    throw new BitnetError('DISK_FULL', `Expected room for ${bytes} more bytes of ${name}.`)
  }

  async hasher(algorithm: 'sha256' | 'sha1') {
    const hash = createHash(algorithm)
    return {
      update: (bytes: Uint8Array) => void hash.update(bytes),
      digest: () => hash.digest('hex'),
    }
  }

  #found(name: string): Uint8Array {
    const bytes = this.files.get(name)
    if (bytes === undefined) throw new Error(`There is no ${name}.`)
    return bytes
  }
}
