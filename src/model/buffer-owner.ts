/**
 * Buffers that live and die together. Loading a model allocates hundreds of them; if it fails half
 * way, or when the model is disposed, all must go.
 */
import type { Backend, BufferUse } from '../backends/backend.ts'
import type { IndexColumn } from '../kernels/index-buffer.ts'
import type { DeviceBuffer } from '../kernels/slice.ts'

export class BufferOwner {
  readonly backend: Backend
  readonly #buffers = new Set<DeviceBuffer>()
  #byteLength = 0

  constructor(backend: Backend) {
    this.backend = backend
  }

  /** Bytes allocated here and not yet freed. */
  get byteLength(): number {
    return this.#byteLength
  }

  allocate(
    byteLength: number,
    label: string,
    use: BufferUse = 'state',
    unit?: number,
  ): DeviceBuffer {
    return this.#own(this.backend.allocate(byteLength, label, use, unit))
  }

  allocateIndices(rows: number, columns: readonly IndexColumn[], label: string): DeviceBuffer {
    return this.#own(this.backend.allocateIndices(rows, columns, label))
  }

  #own(buffer: DeviceBuffer): DeviceBuffer {
    this.#buffers.add(buffer)
    this.#byteLength += buffer.byteLength
    return buffer
  }

  /** Frees what was allocated by `make` if that throws. */
  allTogether(make: () => void): void {
    const before = new Set(this.#buffers)
    try {
      make()
    } catch (error) {
      for (const buffer of [...this.#buffers]) if (!before.has(buffer)) this.free(buffer)
      throw error
    }
  }

  free(buffer: DeviceBuffer): void {
    if (!this.#buffers.delete(buffer)) return
    this.#byteLength -= buffer.byteLength
    this.backend.free(buffer)
  }

  dispose(): void {
    for (const buffer of [...this.#buffers]) this.free(buffer)
  }
}

/** The bytes of any typed array, without a copy. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}
