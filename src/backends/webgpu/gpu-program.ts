/**
 * A list of jobs as the GPU runs it: dispatches with their bindings, made once.
 *
 * A shader may not read and write one buffer through two bindings, and bindings begin at multiples of what
 * the device says. So a slice is bound from the multiple before it on and the shader is told how many words
 * to skip; and where a job has several slices of a buffer that it writes to, all but the first written
 * one are copies, which go back behind the dispatch if they were written.
 */
/// <reference types="@webgpu/types" />
import { BackendError } from '../../errors.ts'
import type { BufferSlice } from '../../kernels/slice.ts'
import type { GpuMemory, GpuRange } from './gpu-memory.ts'
import { ABSENT, type Binding, type Job } from './jobs.ts'
import type { Pipeline } from './pipelines.ts'

/** What a dimension of a dispatch may have; more than any job asks for. */
const MAX_WORKGROUPS = 65535

export interface Dispatch {
  readonly pipeline: GPUComputePipeline
  readonly bindGroup: GPUBindGroup
  readonly workgroups: readonly [x: number, y: number]
}

export interface Copy {
  readonly from: GPUBuffer
  readonly fromOffset: number
  readonly to: GPUBuffer
  readonly toOffset: number
  readonly byteLength: number
}

export interface GpuProgram {
  readonly steps: readonly (Dispatch | Copy)[]
  /** The program's own memory. */
  readonly buffers: readonly GPUBuffer[]
}

interface Maker {
  readonly device: GPUDevice
  /** Bytes of the largest operand. */
  readonly mostBytes: number
  /** Where a slice lies. @throws BackendError if it is not the backend's */
  memoryOf(slice: BufferSlice): GpuMemory
  pipelineOf(job: Job): Promise<Pipeline>
}

/** @throws BackendError if a job needs what the device does not have */
export async function makeProgram(jobs: readonly Job[], maker: Maker): Promise<GpuProgram> {
  // Pipelines first: nothing is held while they are waited for, and nothing waits for another.
  const pipelines = await Promise.all(jobs.map((job) => maker.pipelineOf(job)))
  const writer = new ProgramWriter(jobs, maker)
  try {
    for (const [i, job] of jobs.entries()) writer.add(job, pipelines[i])
    return writer.finish()
  } catch (error) {
    writer.drop()
    throw error
  }
}

class ProgramWriter {
  readonly #maker: Maker
  readonly #steps: (Dispatch | Copy)[] = []
  readonly #buffers: GPUBuffer[] = []
  readonly #numbers: ArrayBuffer
  readonly #uniforms: GPUBuffer
  /** Bytes from one job's numbers to the next one's. */
  readonly #stride: number
  readonly #alignment: number
  readonly #nothing: GPUBuffer
  readonly #scratch = new Map<string, GPUBuffer>()

  constructor(jobs: readonly Job[], maker: Maker) {
    this.#maker = maker
    const { limits } = maker.device
    this.#alignment = limits.minStorageBufferOffsetAlignment
    const counts = jobs.map(({ integers, floats, bindings }) => {
      return integers.length + floats.length + bindings.length
    })
    this.#stride = padded(Math.max(4, ...counts) * 4, limits.minUniformBufferOffsetAlignment)
    this.#numbers = new ArrayBuffer(this.#stride * jobs.length)
    this.#uniforms = this.#own(Math.max(16, this.#numbers.byteLength), 'UNIFORM')
    this.#nothing = this.#own(16, 'STORAGE')
    const longest = new Map<string, number>()
    for (const binding of jobs.flatMap((job) => job.bindings)) {
      if (binding === undefined || !('scratch' in binding.memory)) continue
      const { scratch, byteLength } = binding.memory
      longest.set(scratch, Math.max(longest.get(scratch) ?? 16, byteLength))
    }
    for (const [name, byteLength] of longest) {
      this.#scratch.set(name, this.#own(byteLength, 'STORAGE'))
    }
  }

  add(job: Job, { pipeline, layout, hasNumbers }: Pipeline): void {
    const { integers, floats, workgroups, shader } = job
    const places = this.#placesOf(job.bindings)
    const bindings = places.map((place) => place && this.#bindingOf(place))
    const firstNumber = this.#written * this.#stride
    const whole = new Uint32Array(this.#numbers, firstNumber, this.#stride / 4)
    const fractions = new Float32Array(this.#numbers, firstNumber, this.#stride / 4)
    whole.set(integers)
    fractions.set(floats, integers.length)
    for (const [i, binding] of bindings.entries()) {
      const before = i === job.before?.binding ? job.before.words : 0
      whole[integers.length + floats.length + i] = binding ? binding.skip - before : ABSENT
    }
    const bindGroup = this.#maker.device.createBindGroup({
      layout,
      entries: [
        ...(hasNumbers
          ? [
              {
                binding: 0,
                resource: { buffer: this.#uniforms, offset: firstNumber, size: this.#stride },
              },
            ]
          : []),
        ...bindings.map((binding, i) => ({
          binding: i + 1,
          // Nothing may be written to and read through two bindings, not even what nobody uses.
          resource: binding?.resource ?? {
            buffer: job.written[i] ? this.#own(16, 'STORAGE') : this.#nothing,
          },
        })),
      ],
    })
    if (Math.max(...workgroups) > MAX_WORKGROUPS) {
      throw new BackendError(
        `Expected at most ${MAX_WORKGROUPS} workgroups for ${shader}, got ${workgroups}. Use a smaller ` +
          'batch.',
      )
    }
    this.#written++
    const dispatch = { pipeline, bindGroup, workgroups }
    const [into, back] = this.#copies
    this.#steps.push(...into, dispatch, ...back)
    this.#copies = [[], []]
  }

  #written = 0
  /** Copies before and behind the job that is being added. */
  #copies: [into: Copy[], back: Copy[]] = [[], []]

  finish(): GpuProgram {
    this.#maker.device.queue.writeBuffer(this.#uniforms, 0, this.#numbers)
    return { steps: this.#steps, buffers: this.#buffers }
  }

  drop(): void {
    for (const buffer of this.#buffers) buffer.destroy()
  }

  #own(byteLength: number, use: 'UNIFORM' | 'STORAGE'): GPUBuffer {
    const usage = use === 'UNIFORM' ? 0x40 | 0x8 : 0x80 | 0x8 | 0x4
    const buffer = this.#maker.device.createBuffer({ size: byteLength, usage })
    this.#buffers.push(buffer)
    return buffer
  }

  /** @throws BackendError for more than a binding has */
  #rangeOf({ memory }: Binding): GpuRange {
    if ('scratch' in memory) {
      const buffer = this.#scratch.get(memory.scratch) ?? this.#nothing
      return { buffer, byteOffset: 0, byteLength: memory.byteLength }
    }
    const { byteOffset, byteLength } = memory
    const ranges = [...this.#maker.memoryOf(memory).ranges(byteOffset, byteLength)]
    if (ranges.length > 1) throw this.#tooLarge(byteLength)
    return ranges[0]
  }

  #tooLarge(byteLength: number): BackendError {
    return new BackendError(
      `Expected no operand above the ${this.#maker.mostBytes} bytes that the GPU can bind, got ${byteLength}. ` +
        'Use a smaller model, a shorter context, fewer rows at once, or another backend.',
    )
  }

  /** Where each binding is read and written by the shader. */
  #placesOf(bindings: Job['bindings']): readonly (GpuRange | undefined)[] {
    const ranges = bindings.map((own) => own && this.#rangeOf(own))
    const firstWritten = new Map<GPUBuffer, Binding>()
    for (const [i, own] of bindings.entries()) {
      const range = ranges[i]
      if (own === undefined || range === undefined || own.access === 'read') continue
      if (!firstWritten.has(range.buffer)) firstWritten.set(range.buffer, own)
    }
    return bindings.map((own, i) => {
      const range = ranges[i]
      if (own === undefined || range === undefined) return undefined
      const writer = firstWritten.get(range.buffer)
      if (writer === undefined || writer === own) return range
      return this.#copied(range, own.access !== 'read')
    })
  }

  /** A copy of a range for the job that is being added. */
  #copied(range: GpuRange, isWritten: boolean): GpuRange {
    const byteLength = padded(range.byteLength, 4)
    const copy = { buffer: this.#own(byteLength, 'STORAGE'), byteOffset: 0, byteLength }
    const there = { from: range.buffer, fromOffset: range.byteOffset, to: copy.buffer, toOffset: 0 }
    const back = { from: copy.buffer, fromOffset: 0, to: range.buffer, toOffset: range.byteOffset }
    this.#copies[0].push({ ...there, byteLength })
    if (isWritten) this.#copies[1].push({ ...back, byteLength })
    return copy
  }

  #bindingOf({ buffer, byteOffset, byteLength }: GpuRange): {
    resource: GPUBufferBinding
    skip: number
  } {
    const offset = byteOffset - (byteOffset % this.#alignment)
    const size = padded(byteOffset - offset + byteLength, 4)
    if (size > this.#maker.mostBytes) throw this.#tooLarge(size)
    return { resource: { buffer, offset, size }, skip: (byteOffset - offset) / 4 }
  }
}

function padded(byteLength: number, unit: number): number {
  return Math.ceil(byteLength / unit) * unit
}
