/**
 * Makes GPU buffers. Whether there is room for one a device says later, when it may have been asked to work on it:
 * then that there is none is the one thing to be told, and not what became of the work.
 */
/// <reference types="@webgpu/types" />
import { BackendError } from '../../errors.ts'
import type { GpuDevice } from './device.ts'
import { GpuMemory, partBytesOf } from './gpu-memory.ts'

/** GPUBufferUsage: STORAGE, COPY_DST and COPY_SRC. */
const STORAGE_USAGE = 0x80 | 0x8 | 0x4

/** What an error scope has. A device that was lost has none; that it was is told by itself. */
export function told(scope: Promise<GPUError | null>): Promise<GPUError | null> {
  return scope.catch(() => null)
}

export class GpuAllocator {
  readonly #gpu: GpuDevice
  /** Buffers for which the device has not yet said that there is room, or has said that there is none. */
  readonly #pending = new Map<GPUBuffer, Promise<BackendError | undefined>>()

  constructor(gpu: GpuDevice) {
    this.#gpu = gpu
  }

  /**
   * @param unit where it may be cut, if it is larger than a binding
   * @throws BackendError for more than a buffer ever has
   */
  make(byteLength: number, label: string, unit: number | undefined): GpuMemory {
    const { bindingBytes } = this.#gpu.powers
    const partBytes =
      byteLength > bindingBytes && unit !== undefined ? partBytesOf(unit, bindingBytes) : undefined
    if (partBytes === undefined) return new GpuMemory([this.#buffer(byteLength, label)], byteLength)
    const parts: GPUBuffer[] = []
    for (let at = 0; at < byteLength; at += partBytes) {
      parts.push(this.#buffer(Math.min(partBytes, byteLength - at), label))
    }
    return new GpuMemory(parts, partBytes)
  }

  drop(memory: GpuMemory): void {
    for (const part of memory.parts) this.#pending.delete(part)
    memory.destroy()
  }

  /** @throws BackendError naming what there is no room for */
  async ready(): Promise<void> {
    if (this.#pending.size === 0) return
    const failures = await Promise.all(this.#pending.values())
    const failure = failures.find((own) => own !== undefined)
    if (failure) throw failure
  }

  /** Asks for something of a buffer, for which there may turn out to be no room. */
  using<T>(buffer: GPUBuffer, ask: () => T): T {
    const answer = this.#pending.get(buffer)
    if (answer === undefined) return ask()
    const { device } = this.#gpu
    device.pushErrorScope('validation')
    const asked = ask()
    void told(device.popErrorScope()).then(async (error) => {
      if (error !== null && (await answer) === undefined) this.#gpu.refuse(error.message)
    })
    return asked
  }

  #buffer(byteLength: number, label: string): GPUBuffer {
    const { device } = this.#gpu
    const noRoom = () =>
      new BackendError(
        `Expected room for ${byteLength} bytes of "${label}" on the GPU, but there is none. Use a smaller ` +
          'model, a shorter context or a smaller batch.',
      )
    const size = Math.max(16, Math.ceil(byteLength / 4) * 4)
    if (size > device.limits.maxBufferSize) throw noRoom()
    device.pushErrorScope('out-of-memory')
    const buffer = device.createBuffer({ label, size, usage: STORAGE_USAGE })
    const answer = told(device.popErrorScope()).then((error) => {
      if (error === null) this.#pending.delete(buffer)
      return error === null ? undefined : noRoom()
    })
    this.#pending.set(buffer, answer)
    return buffer
  }
}
