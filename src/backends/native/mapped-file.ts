/**
 * A file of packed weights in this process's memory: read-only pages of the system's cache, shared by
 * all buffers over them and by all processes that map the file.
 */
import { BackendError } from '../../errors.ts'
import type { FileRange } from '../backend.ts'
import { TAIL_BYTES } from '../list-backend.ts'
import type { Addon } from './addon.ts'

/** Memory behind a buffer: pages of its own, or a part of a mapped file. */
export interface NativeMemory {
  readonly pages: ArrayBuffer
  readonly byteOffset: number
  readonly isReadOnly: boolean
  release(): void
}

export class MappedPages {
  readonly checksum: string
  readonly #addon: Addon
  readonly #pages: ArrayBuffer
  readonly #sparse: { readonly byteOffset: number; readonly byteLength: number }[] = []
  readonly #onRelease: (pages: MappedPages) => void
  /** Buffers, and the opener until it closes. */
  #users = 1

  constructor(
    addon: Addon,
    opened: { readonly bytes: ArrayBuffer; readonly checksum: string },
    onRelease: (pages: MappedPages) => void,
  ) {
    this.#addon = addon
    this.#pages = opened.bytes
    this.checksum = opened.checksum
    this.#onRelease = onRelease
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
    const denseBytes = byteLength - sparseBytes
    this.#addon.markDense(this.#pages, byteOffset, denseBytes)
    if (sparseBytes > 0) this.#markSparse(byteOffset + byteLength - sparseBytes, sparseBytes)
    this.#users++
    return {
      pages: this.#pages,
      byteOffset,
      isReadOnly: true,
      release: () => this.release(),
    }
  }

  /** Gives back pages of which only few are used, so that they do not add up over many passes. */
  dropSparsePages(): void {
    for (const { byteOffset, byteLength } of this.#sparse) {
      this.#addon.dropPages(this.#pages, byteOffset, byteLength)
    }
  }

  release(): void {
    this.#users--
    if (this.#users > 0) return
    this.#onRelease(this)
    this.#addon.release(this.#pages)
  }

  #markSparse(byteOffset: number, byteLength: number): void {
    this.#addon.markSparse(this.#pages, byteOffset, byteLength)
    this.#sparse.push({ byteOffset, byteLength })
  }
}
