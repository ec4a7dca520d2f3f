/**
 * A list of commands as the GPU runs it: dispatches with their bindings, made once.
 *
 * A shader may not read and write one buffer through two bindings, and bindings begin at multiples of what
 * the device says. So a slice is bound from the multiple before it on and the shader is told how many words
 * to skip; and where a command has several slices of a buffer that it writes to, all but the first written
 * one are copies, which go back behind the dispatch if they were written.
 */
/// <reference types="@webgpu/types" />
import { BackendError } from '../../errors.ts'
import type { ValidCommand } from '../../kernels/commands.ts'
import type { Operand } from '../../kernels/define-op.ts'
import type { BufferSlice } from '../../kernels/slice.ts'
import type { Pipeline } from './pipelines.ts'

/** What a shader is told instead of a slice's place when the slice is left out. */
const ABSENT = 0xffffffff

/** What a dimension of a dispatch may have; more than any command asks for. */
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

/** A part of a GPU buffer. */
interface Range {
  readonly buffer: GPUBuffer
  readonly byteOffset: number
  readonly byteLength: number
}

interface Maker {
  readonly device: GPUDevice
  /** Where a slice lies. @throws BackendError if it is not the backend's */
  memoryOf(slice: BufferSlice): GPUBuffer
  /** @throws BackendError if the operation has no shader */
  pipelineOf(command: ValidCommand): Promise<Pipeline>
}

/** @throws BackendError if a command needs what the device does not have */
export async function makeProgram(
  commands: readonly ValidCommand[],
  maker: Maker,
): Promise<GpuProgram> {
  // Pipelines first: nothing is held while they are waited for, and nothing waits for another.
  const pipelines = await Promise.all(commands.map((command) => maker.pipelineOf(command)))
  const writer = new ProgramWriter(commands, maker)
  try {
    for (const [i, command] of commands.entries()) writer.add(command, pipelines[i])
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
  /** Bytes from one command's numbers to the next one's. */
  readonly #stride: number
  readonly #alignment: number
  readonly #nothing: GPUBuffer

  constructor(commands: readonly ValidCommand[], maker: Maker) {
    this.#maker = maker
    const { limits } = maker.device
    this.#alignment = limits.minStorageBufferOffsetAlignment
    const counts = commands.map(({ operation: { integers, floats, slices } }) => {
      return integers.length + floats.length + slices.length
    })
    this.#stride = padded(Math.max(4, ...counts) * 4, limits.minUniformBufferOffsetAlignment)
    this.#numbers = new ArrayBuffer(this.#stride * commands.length)
    this.#uniforms = this.#own(Math.max(16, this.#numbers.byteLength), 'UNIFORM')
    this.#nothing = this.#own(16, 'STORAGE')
  }

  add({ command, operation, operands }: ValidCommand, { pipeline, layout }: Pipeline): void {
    const places = this.#placesOf(operands)
    const bindings = places.map((place) => place && this.#bindingOf(place))
    const firstNumber = this.#written * this.#stride
    const { integers, floats } = operation
    const whole = new Uint32Array(this.#numbers, firstNumber, this.#stride / 4)
    const fractions = new Float32Array(this.#numbers, firstNumber, this.#stride / 4)
    for (const [i, { value }] of integers.entries()) whole[i] = value(command)
    for (const [i, { value }] of floats.entries()) fractions[integers.length + i] = value(command)
    for (const [i, binding] of bindings.entries()) {
      whole[integers.length + floats.length + i] = binding ? binding.skip : ABSENT
    }
    const bindGroup = this.#maker.device.createBindGroup({
      layout,
      entries: [
        {
          binding: 0,
          resource: { buffer: this.#uniforms, offset: firstNumber, size: this.#stride },
        },
        ...bindings.map((binding, i) => ({
          binding: i + 1,
          resource: binding?.resource ?? { buffer: this.#nothing },
        })),
      ],
    })
    const workgroups = operation.workgroups?.(command) ?? [0, 0]
    if (Math.max(...workgroups) > MAX_WORKGROUPS) {
      throw new BackendError(
        `Expected at most ${MAX_WORKGROUPS} workgroups for ${command.op}, got ${workgroups}. Use a smaller ` +
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
  /** Copies before and behind the command that is being added. */
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

  /** Where each operand is read and written by the shader. */
  #placesOf(operands: ValidCommand['operands']): readonly (Range | undefined)[] {
    const firstWritten = new Map<GPUBuffer, Operand>()
    for (const own of operands) {
      if (own === undefined || own.access === 'read') continue
      const memory = this.#maker.memoryOf(own.slice)
      if (!firstWritten.has(memory)) firstWritten.set(memory, own)
    }
    return operands.map((own) => {
      if (own === undefined) return undefined
      const { slice, access } = own
      const buffer = this.#maker.memoryOf(slice)
      const range = { buffer, byteOffset: slice.byteOffset, byteLength: slice.byteLength }
      const writer = firstWritten.get(buffer)
      if (writer === undefined || writer === own) return range
      return this.#copied(range, access !== 'read')
    })
  }

  /** A copy of a range for the command that is being added. */
  #copied(range: Range, isWritten: boolean): Range {
    const byteLength = padded(range.byteLength, 4)
    const copy = { buffer: this.#own(byteLength, 'STORAGE'), byteOffset: 0, byteLength }
    const there = { from: range.buffer, fromOffset: range.byteOffset, to: copy.buffer, toOffset: 0 }
    const back = { from: copy.buffer, fromOffset: 0, to: range.buffer, toOffset: range.byteOffset }
    this.#copies[0].push({ ...there, byteLength })
    if (isWritten) this.#copies[1].push({ ...back, byteLength })
    return copy
  }

  #bindingOf({ buffer, byteOffset, byteLength }: Range): {
    resource: GPUBufferBinding
    skip: number
  } {
    const offset = byteOffset - (byteOffset % this.#alignment)
    const size = padded(byteOffset - offset + byteLength, 4)
    const limit = this.#maker.device.limits.maxStorageBufferBindingSize
    if (size > limit) {
      throw new BackendError(
        `Expected no operand above the ${limit} bytes that the GPU can bind, got ${size}. Use a smaller ` +
          'model, or another backend.',
      )
    }
    return { resource: { buffer, offset, size }, skip: (byteOffset - offset) / 4 }
  }
}

function padded(byteLength: number, unit: number): number {
  return Math.ceil(byteLength / unit) * unit
}
