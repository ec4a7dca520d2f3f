/**
 * Reads GPU buffers. Small reads, of tokens after each few steps, go through one buffer that is kept; making
 * one takes longer than reading it.
 */
/// <reference types="@webgpu/types" />

/** GPUBufferUsage.MAP_READ and COPY_DST; GPUMapMode.READ. */
const READ_USAGE = 0x1 | 0x8
const MAP_READ = 0x1

/** Bytes of the buffer that is kept. */
const KEPT_BYTES = 1 << 16

export class BufferReader {
  readonly #device: GPUDevice
  #kept: GPUBuffer | undefined
  #isInUse = false

  constructor(device: GPUDevice) {
    this.#device = device
  }

  /** A copy of what is there after all that was submitted. @throws what the device says if it does not answer */
  async read(memory: GPUBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    // Copies are of whole words; a buffer has four at least.
    const begin = byteOffset - (byteOffset % 4)
    const size = Math.max(4, Math.ceil((byteOffset + byteLength - begin) / 4) * 4)
    const start = Math.min(begin, memory.size - size)
    const isKept = size <= KEPT_BYTES && !this.#isInUse
    const target = isKept ? this.#keep() : this.#make(size)
    if (isKept) this.#isInUse = true
    try {
      const encoder = this.#device.createCommandEncoder()
      encoder.copyBufferToBuffer(memory, start, target, 0, size)
      this.#device.queue.submit([encoder.finish()])
      await target.mapAsync(MAP_READ, 0, size)
      const from = byteOffset - start
      const bytes = new Uint8Array(target.getMappedRange(0, size)).slice(from, from + byteLength)
      target.unmap()
      return bytes
    } finally {
      if (isKept) this.#isInUse = false
      else target.destroy()
    }
  }

  dispose(): void {
    this.#kept?.destroy()
  }

  #keep(): GPUBuffer {
    this.#kept ??= this.#make(KEPT_BYTES)
    return this.#kept
  }

  #make(size: number): GPUBuffer {
    return this.#device.createBuffer({ label: 'read', size, usage: READ_USAGE })
  }
}
