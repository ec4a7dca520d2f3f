/**
 * The backend on a GPU through WebGPU, in browsers and in Node. Shaders are base.wgsl in the operations'
 * folders; what is queued here goes to the device's own queue.
 */
/// <reference types="@webgpu/types" />
import { messageOf } from '../../checks.ts'
import { BackendError } from '../../errors.ts'
import type { ValidCommand } from '../../kernels/commands.ts'
import type { Rounding } from '../../kernels/define-op.ts'
import type { BufferSlice } from '../../kernels/slice.ts'
import type { Backend, Program } from '../backend.ts'
import { CheckedBackend, type OwnBuffer } from '../checked-backend.ts'
import { type KernelVariant, variantNamed } from '../list-backend.ts'
import { type GpuDevice, openDevice } from './device.ts'
import { type GpuProgram, makeProgram } from './gpu-program.ts'
import { type Pipeline, Pipelines } from './pipelines.ts'

/** The only variant so far: float32, and dot products of bytes. */
export const BASE_ISA = 'webgpu-base'

/** GPUBufferUsage: STORAGE, COPY_DST and COPY_SRC; and MAP_READ with COPY_DST. */
const STORAGE_USAGE = 0x80 | 0x8 | 0x4
const READ_USAGE = 0x1 | 0x8
const UNIFORM_USAGE = 0x40 | 0x8
const MAP_READ = 0x1

/** The variants, whether or not there is a GPU. */
export function webGpuVariants(): KernelVariant[] {
  return [{ isa: BASE_ISA, supported: true }]
}

class WebGpuBackend extends CheckedBackend<GPUBuffer, GpuProgram> {
  readonly name = 'webgpu'
  readonly isa = BASE_ISA
  readonly threads = 1
  override readonly rounding: Rounding = 'own'
  readonly #gpu: GpuDevice
  readonly #pipelines: Pipelines
  readonly #patcher: Pipeline
  /** Allocations that the device has not yet answered. */
  readonly #pending = new Set<Promise<BackendError | undefined>>()

  constructor(gpu: GpuDevice, patcher: Pipeline, fallbacks: readonly string[]) {
    super(fallbacks)
    this.#gpu = gpu
    this.#patcher = patcher
    this.#pipelines = new Pipelines(gpu.device)
    void gpu.whenLost().then((reason) => this.lose(reason))
  }

  override get description(): string {
    return `${this.name} ${this.isa}, ${this.#gpu.title}`
  }

  override async ready(): Promise<void> {
    await super.ready()
    const failures = await Promise.all(this.#pending)
    const failure = failures.find((own) => own !== undefined)
    if (failure) throw failure
    this.#gpu.check()
  }

  protected override reserve(byteLength: number, label: string): GPUBuffer {
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
    const answer = device.popErrorScope().then((error) => {
      if (error === null) this.#pending.delete(answer)
      return error === null ? undefined : noRoom()
    })
    this.#pending.add(answer)
    return buffer
  }

  /** The device keeps the memory until what was submitted has run. */
  protected override release({ memory }: OwnBuffer<GPUBuffer>): void {
    memory.destroy()
  }

  protected override put(own: OwnBuffer<GPUBuffer>, byteOffset: number, bytes: Uint8Array): void {
    const { queue } = this.#gpu.device
    const stop = byteOffset + bytes.byteLength
    const begin = Math.ceil(byteOffset / 4) * 4
    const end = Math.floor(stop / 4) * 4
    if (begin < end) {
      const from = bytes.byteOffset + begin - byteOffset
      queue.writeBuffer(own.memory, begin, bytes.buffer, from, end - begin)
    }
    // Words of which only a part is written.
    const edges = new Set<number>()
    if (byteOffset < begin && byteOffset < stop) edges.add(begin - 4)
    if (end < stop) edges.add(end)
    for (const word of edges) {
      let mask = 0
      let bits = 0
      for (let i = 0; i < 4; i++) {
        const from = word + i - byteOffset
        if (from < 0 || from >= bytes.byteLength) continue
        mask |= 0xff << (8 * i)
        bits |= bytes[from] << (8 * i)
      }
      this.#patch(own.memory, word / 4, mask, bits)
    }
  }

  /** Replaces the bits of `mask` in a word, in the order of the queue. */
  #patch(memory: GPUBuffer, word: number, mask: number, bits: number): void {
    const { device } = this.#gpu
    const { pipeline, layout } = this.#patcher
    const numbers = device.createBuffer({ size: 16, usage: UNIFORM_USAGE })
    device.queue.writeBuffer(numbers, 0, Int32Array.of(word, mask, bits, 0))
    const entries = [numbers, memory].map((buffer, binding) => ({ binding, resource: { buffer } }))
    const bindGroup = device.createBindGroup({ layout, entries })
    this.#submit([{ pipeline, bindGroup, workgroups: [1, 1] }])
    numbers.destroy()
  }

  protected override async take(
    { memory }: OwnBuffer<GPUBuffer>,
    { byteOffset, byteLength }: BufferSlice,
  ): Promise<Uint8Array> {
    const { device } = this.#gpu
    const offset = byteOffset - (byteOffset % 4)
    const size = Math.max(4, Math.ceil((byteOffset + byteLength - offset) / 4) * 4)
    const target = device.createBuffer({ size, usage: READ_USAGE })
    const encoder = device.createCommandEncoder()
    encoder.copyBufferToBuffer(memory, Math.min(offset, memory.size - size), target, 0, size)
    device.queue.submit([encoder.finish()])
    try {
      await target.mapAsync(MAP_READ)
      const from = byteOffset - Math.min(offset, memory.size - size)
      const bytes = new Uint8Array(target.getMappedRange()).slice(from, from + byteLength)
      this.#gpu.check()
      return bytes
    } catch (cause) {
      this.#gpu.fail(`The GPU's memory could not be read: ${messageOf(cause)}.`)
      throw await this.#gpu.settle().then(
        () => cause,
        (error) => error,
      )
    } finally {
      target.destroy()
    }
  }

  protected override async compile(commands: readonly ValidCommand[]): Promise<Program> {
    const buffers: OwnBuffer<GPUBuffer>[] = []
    const program = await makeProgram(commands, {
      device: this.#gpu.device,
      memoryOf: (slice) => {
        const own = this.ownSlice(slice)
        buffers.push(own)
        return own.memory
      },
      pipelineOf: ({ command, operation }) => {
        if (operation.workgroups !== undefined) return this.#pipelines.of(operation)
        throw new BackendError(`Expected operations with a shader, got ${command.op}.`)
      },
    })
    const release = () => {
      for (const buffer of program.buffers) buffer.destroy()
    }
    return this.programOf(program, { commandCount: commands.length, buffers, release })
  }

  protected override start({ steps }: GpuProgram): void {
    this.#submit(steps)
  }

  #submit(steps: GpuProgram['steps']): void {
    const { device } = this.#gpu
    const encoder = device.createCommandEncoder()
    let pass: GPUComputePassEncoder | undefined
    for (const step of steps) {
      if ('from' in step) {
        pass?.end()
        pass = undefined
        const { from, fromOffset, to, toOffset, byteLength } = step
        encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, byteLength)
        continue
      }
      pass ??= encoder.beginComputePass()
      pass.setPipeline(step.pipeline)
      pass.setBindGroup(0, step.bindGroup)
      pass.dispatchWorkgroups(...step.workgroups)
    }
    pass?.end()
    device.queue.submit([encoder.finish()])
  }

  protected override settle(): Promise<void> {
    return this.#gpu.settle()
  }

  protected override async finish(last: () => void): Promise<void> {
    // Whatever went wrong is for those who asked.
    await this.#gpu.settle().catch(() => {})
    last()
  }

  /** The device keeps what is submitted. */
  protected override afterWork(giveUp: () => void): void {
    giveUp()
  }

  protected override close(): void {
    this.#gpu.device.destroy()
  }
}

/**
 * Opens a GPU.
 *
 * @param gpu where WebGPU is: `navigator.gpu`, or that of the package "webgpu" in Node
 * @throws BackendError if there is none, or no variant as asked
 */
export async function openWebGpuBackend(
  gpu: GPU | undefined,
  isa: string = BASE_ISA,
  fallbacks: readonly string[] = [],
): Promise<Backend> {
  variantNamed(webGpuVariants(), isa, 'shader')
  const device = await openDevice(gpu)
  const patcher = await new Pipelines(device.device).named('patch', [{ isConst: false }])
  return new WebGpuBackend(device, patcher, fallbacks)
}
