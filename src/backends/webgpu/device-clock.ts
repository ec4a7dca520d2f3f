/**
 * What the GPU itself was busy with: dispatches, and the time of their passes by its own clock, where it has the
 * feature "timestamp-query". Off, it costs nothing.
 */
/// <reference types="@webgpu/types" />
import type { DeviceWork } from '../backend.ts'
import { BufferReader } from './buffer-reader.ts'
import type { GpuProgram } from './gpu-program.ts'

/** Passes that are timed between a start and its stop; what comes after them is counted without time. */
const MOST_PASSES = 2048
const STAMP_BYTES = 8
/** GPUBufferUsage: QUERY_RESOLVE and COPY_SRC. */
const RESOLVE_USAGE = 0x200 | 0x4

export class DeviceClock {
  readonly #device: GPUDevice
  #queries: GPUQuerySet | undefined
  #passes = 0
  #dispatches = 0
  #isOn = false

  constructor(device: GPUDevice) {
    this.#device = device
  }

  start(): void {
    this.#isOn = true
    this.#passes = 0
    this.#dispatches = 0
    if (!this.#device.features.has('timestamp-query')) return
    this.#queries ??= this.#device.createQuerySet({ type: 'timestamp', count: 2 * MOST_PASSES })
  }

  /** What a pass is begun with. */
  ofPass(): GPUComputePassDescriptor | undefined {
    if (!this.#isOn || this.#queries === undefined) return undefined
    const pass = this.#passes++
    if (pass >= MOST_PASSES) return undefined
    const [beginningOfPassWriteIndex, endOfPassWriteIndex] = [2 * pass, 2 * pass + 1]
    const querySet = this.#queries
    return { timestampWrites: { querySet, beginningOfPassWriteIndex, endOfPassWriteIndex } }
  }

  count(steps: GpuProgram['steps']): void {
    if (this.#isOn) this.#dispatches += steps.filter((step) => 'pipeline' in step).length
  }

  /** To be called when all that is asked about was submitted. */
  async stop(): Promise<DeviceWork> {
    this.#isOn = false
    const [dispatches, passes] = [this.#dispatches, this.#passes]
    if (this.#queries === undefined || passes > MOST_PASSES) return { dispatches }
    if (passes === 0) return { dispatches, seconds: 0 }
    const size = 2 * passes * STAMP_BYTES
    const stamps = this.#device.createBuffer({ label: 'stamps', size, usage: RESOLVE_USAGE })
    const reader = new BufferReader(this.#device)
    try {
      const encoder = this.#device.createCommandEncoder()
      encoder.resolveQuerySet(this.#queries, 0, 2 * passes, stamps, 0)
      this.#device.queue.submit([encoder.finish()])
      const bytes = await reader.read(stamps, 0, size)
      const times = new BigUint64Array(bytes.buffer, bytes.byteOffset, 2 * passes)
      let nanoseconds = 0
      // A clock that was set back between two stamps makes nothing shorter than it was.
      for (let i = 0; i < times.length; i += 2) {
        nanoseconds += Math.max(0, Number(times[i + 1] - times[i]))
      }
      return { dispatches, seconds: nanoseconds / 1e9 }
    } finally {
      stamps.destroy()
      reader.dispose()
    }
  }

  dispose(): void {
    this.#queries?.destroy()
  }
}
