/** The memory of a buffer on a GPU: one GPU buffer, or several where one cannot be bound as a whole. */
/// <reference types="@webgpu/types" />

/** A part of a GPU buffer. */
export interface GpuRange {
  readonly buffer: GPUBuffer
  readonly byteOffset: number
  readonly byteLength: number
}

export class GpuMemory {
  readonly parts: readonly GPUBuffer[]
  /** Of each part but the last. */
  readonly #partBytes: number

  constructor(parts: readonly GPUBuffer[], partBytes: number) {
    this.parts = parts
    this.#partBytes = partBytes
  }

  /** Where bytes lie, part by part, in their order. */
  *ranges(byteOffset: number, byteLength: number): Generator<GpuRange> {
    const end = byteOffset + byteLength
    let at = byteOffset
    do {
      const last = this.parts.length - 1
      const part = last === 0 ? 0 : Math.min(Math.floor(at / this.#partBytes), last)
      const start = part * this.#partBytes
      const isLast = part === last
      const stop = isLast ? end : Math.min(end, start + this.#partBytes)
      yield { buffer: this.parts[part], byteOffset: at - start, byteLength: stop - at }
      at = stop
    } while (at < end)
  }

  destroy(): void {
    for (const part of this.parts) part.destroy()
  }
}

/** Bytes of each part, whole units; undefined where no unit fits. */
export function partBytesOf(unit: number, mostBytes: number): number | undefined {
  const units = Math.floor(mostBytes / unit)
  return units > 0 ? units * unit : undefined
}
