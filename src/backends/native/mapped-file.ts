/**
 * A file of packed weights in this process's memory: read-only pages of the system's cache, shared by
 * all buffers over them and by all processes that map the file. The sparse end of a buffer is mapped too,
 * but kernels copy what they want of it from the file, so that its pages do not become this process's.
 */
import { BackendError } from '../../errors.ts'
import type { FileRange } from '../backend.ts'
import { TAIL_BYTES } from '../list-backend.ts'
import { type Addon, SOURCE_BYTES } from './addon.ts'

/** Memory behind a buffer: pages of its own, or a part of a mapped file. */
export interface NativeMemory {
  readonly pages: ArrayBuffer
  readonly byteOffset: number
  readonly isReadOnly: boolean
  /** What kernels read the buffer's sparse end from, where that is a file. */
  readonly source?: ArrayBuffer
  release(): void
}

export class MappedPages {
  readonly checksum: string
  readonly #addon: Addon
  readonly #pages: ArrayBuffer
  readonly #file: number
  /** Buffers, and the opener until it closes. */
  #users = 1

  constructor(
    addon: Addon,
    opened: { readonly bytes: ArrayBuffer; readonly checksum: string; readonly file: number },
  ) {
    this.#addon = addon
    this.#pages = opened.bytes
    this.checksum = opened.checksum
    this.#file = opened.file
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.#pages)
  }

  /** @throws BackendError if the range and what kernels may read behind it are not in the file */
  use({ label, byteOffset, byteLength, sparseBytes = 0 }: FileRange): NativeMemory {
    const room = this.#pages.byteLength - byteOffset - TAIL_BYTES
    const isAligned = Number.isSafeInteger(byteOffset) && byteOffset >= 0 && byteOffset % 64 === 0
    if (!isAligned || !Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > room) {
      throw new BackendError(
        `Expected "${label}" to lie in ${this.#pages.byteLength} bytes of a mapped file, got ` +
          `${byteLength} bytes at ${byteOffset}.`,
      )
    }
    this.#addon.markDense(this.#pages, byteOffset, byteLength - sparseBytes)
    this.#users++
    const source = sparseBytes > 0 ? this.#openSource() : undefined
    return {
      pages: this.#pages,
      byteOffset,
      isReadOnly: true,
      ...(source && { source }),
      release: () => {
        if (source) this.#addon.release(source)
        this.release()
      },
    }
  }

  release(): void {
    this.#users--
    if (this.#users === 0) this.#addon.release(this.#pages)
  }

  #openSource(): ArrayBuffer {
    const source = this.#addon.allocate(SOURCE_BYTES, false)
    this.#addon.readSparse(source, this.#file, this.#addon.addressOf(this.#pages), 0)
    return source
  }
}
