/**
 * A file of packed weights in this process's memory: read-only pages of the system's cache, shared by
 * all buffers over them and by all processes that map the file. The sparse end of a buffer is mapped too,
 * but kernels copy what they want of it from the file, so that its pages do not become this process's.
 */
import { BackendError } from '../../errors.ts'
import { SPARSE_SOURCE_BYTES } from '../../kernels/slice.ts'
import type { FileRange } from '../backend.ts'
import { type Place, TAIL_BYTES } from '../list-backend.ts'
import type { Addon } from './addon.ts'

/** Memory behind a buffer: pages of its own, or a part of a mapped file. */
export interface NativeMemory extends Place {
  readonly pages: ArrayBuffer
  readonly byteOffset: number
  /** Unset: no. */
  isReadOnly?: boolean
  /** Whether its size is nothing to collect garbage for. */
  readonly isLight?: boolean
  /** Behind all of the memory, or behind the sparse end of pages of its own. */
  file?: MappedPages
  /** What kernels read the sparse end from: a file, or memory as long as nothing else is said. */
  source?: ArrayBuffer
}

export class MappedPages {
  readonly pages: ArrayBuffer
  readonly #addon: Addon
  readonly #file: number
  /** Buffers, and the opener until it closes. */
  #users = 1

  /** @param file what the addon knows the file of these pages by */
  constructor(addon: Addon, pages: ArrayBuffer, file: number) {
    this.#addon = addon
    this.pages = pages
    this.#file = file
  }

  /** @throws BackendError if the range and what kernels may read behind it are not in the file */
  use(range: FileRange): NativeMemory {
    this.#check(range)
    const { byteOffset, byteLength, sparseBytes = 0 } = range
    this.#addon.markDense(this.pages, byteOffset, byteLength - sparseBytes)
    const address = this.#addon.addressOf(this.pages) + byteOffset
    const memory = { address, pages: this.pages, byteOffset, isReadOnly: true }
    if (sparseBytes > 0) this.#readSparse(memory, byteOffset)
    return this.#share(memory)
  }

  /** See MappedFile.takeSparseEnd. */
  takeSparseEnd(memory: NativeMemory, range: FileRange): void {
    this.#check(range)
    const { byteOffset, byteLength, sparseBytes = 0 } = range
    const begin = byteLength - sparseBytes
    const { pages, file } = memory
    if (file !== undefined) return
    if (!this.#addon.replace(pages, begin, sparseBytes, this.#file, byteOffset + begin)) return
    this.#readSparse(memory, byteOffset)
    this.#share(memory)
  }

  release(): void {
    this.#users--
    if (this.#users === 0) this.#addon.release(this.pages)
  }

  #share(memory: NativeMemory): NativeMemory {
    this.#users++
    memory.file = this
    return memory
  }

  /** From now on, kernels read from the file, where the memory's first byte is at `fileOffset`. */
  #readSparse(memory: NativeMemory, fileOffset: number): void {
    this.#addon.readSparse(sourceOf(this.#addon, memory), this.#file, memory.address, fileOffset)
  }

  #check({ label, byteOffset, byteLength }: FileRange): void {
    const room = this.pages.byteLength - byteOffset - TAIL_BYTES
    const isAligned = Number.isSafeInteger(byteOffset) && byteOffset >= 0 && byteOffset % 64 === 0
    if (!isAligned || !Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > room) {
      throw new BackendError(
        `Expected "${label}" to lie in ${this.pages.byteLength} bytes of a mapped file, got ` +
          `${byteLength} bytes at ${byteOffset}.`,
      )
    }
  }
}

/** The source of a buffer's sparse end, which programs refer to before there is a file. */
export function sourceOf(addon: Addon, memory: NativeMemory): ArrayBuffer {
  memory.source ??= addon.allocate(SPARSE_SOURCE_BYTES, false)
  return memory.source
}
