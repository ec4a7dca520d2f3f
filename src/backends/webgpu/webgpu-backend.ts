/**
 * The backend on a GPU through WebGPU, in browsers and in Node. Shaders are base.wgsl in the operations'
 * folders; what is queued here goes to the device's own queue.
 */
/// <reference types="@webgpu/types" />
import { messageOf } from '../../checks.ts'
import { BackendError } from '../../errors.ts'
import { joinBytes } from '../../formats/byte-sink.ts'
import type { ValidCommand } from '../../kernels/commands.ts'
import type { Rounding } from '../../kernels/define-op.ts'
import type { BufferSlice } from '../../kernels/slice.ts'
import type { Backend, BackendFiles, BufferUse, DeviceWork, Program } from '../backend.ts'
import { CheckedBackend, type OwnBuffer } from '../checked-backend.ts'
import { type KernelVariant, variantNamed } from '../list-backend.ts'
import { BufferReader } from './buffer-reader.ts'
import { type GpuDevice, openDevice } from './device.ts'
import { DeviceClock } from './device-clock.ts'
import { jobsOf } from './fuse.ts'
import { GpuAllocator } from './gpu-allocator.ts'
import type { GpuMemory } from './gpu-memory.ts'
import { type GpuProgram, makeProgram } from './gpu-program.ts'
import { baseJobs, type Job } from './jobs.ts'
import { type Pipeline, Pipelines } from './pipelines.ts'
import { faultOf } from './self-test.ts'
import { stripeJobs } from './stripes.ts'
import type { Powers } from './tuned.ts'

/**
 * Variants, the fastest first: products on int8 matrix units; shaders for models' shapes, with neighbouring
 * operations in one; and one for each operation as it is, for every shape.
 */
export const MATRIX_ISA = 'webgpu-matrix'
export const TUNED_ISA = 'webgpu-tuned'
export const BASE_ISA = 'webgpu-base'
const ISAS = [MATRIX_ISA, TUNED_ISA, BASE_ISA]

/** GPUBufferUsage: UNIFORM and COPY_DST. */
const UNIFORM_USAGE = 0x40 | 0x8

/** The shader that replaces a part of a word. */
const PATCH: Job = {
  shader: 'patch',
  integers: [],
  floats: [],
  bindings: [],
  written: [true],
  workgroups: [1, 1],
}

/** Dispatches from which programs are handed over: handing over costs as much as a few, and a GPU waits. */
const ENOUGH_WAITING = 64
/** Of those that are handed over: a long list begins to run before all of it is written. */
const MOST_TOGETHER = 100
/** Steps of a decoder that are submitted before tokens are read. */
const STEPS = 16
/** Of a dispatch: three frames of a screen. One in software keeps no screen waiting. */
const LONGEST_MS = 50

export { type GpuFacts, gpuFacts, hasRealGpu } from './device.ts'

/** The variants, whether or not there is a GPU. */
export function webGpuVariants(): KernelVariant[] {
  return ISAS.map((isa) => ({ isa, supported: true }))
}

class WebGpuBackend extends CheckedBackend<GpuMemory, GpuProgram> {
  readonly name = 'webgpu'
  readonly isa: string
  readonly threads = 1
  override readonly rounding: Rounding = 'own'
  readonly promptRows: number
  readonly longestMs: number | undefined
  readonly steps = STEPS
  readonly files: BackendFiles | undefined
  readonly #gpu: GpuDevice
  readonly #powers: Powers
  readonly #pipelines: Pipelines
  readonly #patcher: Pipeline
  /** Programs that were started and not yet handed over: several at once cost less. */
  #waiting: GpuProgram['steps'][number][] = []
  readonly #reader: BufferReader
  readonly #clock: DeviceClock
  readonly #allocator: GpuAllocator

  constructor(
    gpu: GpuDevice,
    isa: string,
    patcher: Pipeline,
    fallbacks: readonly string[],
    files: WebGpuOptions['files'],
  ) {
    super(fallbacks)
    this.isa = isa
    this.#gpu = gpu
    this.promptRows = isa === MATRIX_ISA ? 512 : 128
    this.longestMs = gpu.isSoftware ? undefined : LONGEST_MS
    const isMatrix = isa === MATRIX_ISA
    this.#powers = {
      ...gpu.powers,
      int8Matrices: isMatrix,
      halfMatrices: isMatrix && gpu.powers.halfMatrices,
    }
    this.#allocator = new GpuAllocator(gpu)
    this.#patcher = patcher
    this.#pipelines = new Pipelines(gpu.device)
    this.#reader = new BufferReader(gpu.device)
    this.#clock = new DeviceClock(gpu.device)
    void gpu.whenLost().then((reason) => this.lose(reason))
    this.files = files?.(this)
  }

  get largestOperand(): number {
    return this.#powers.bindingBytes
  }

  override get description(): string {
    return `${this.name} ${this.isa}, ${this.#gpu.title}`
  }

  override async ready(): Promise<void> {
    await super.ready()
    await this.#gpu.answer(this.#allocator.ready())
    this.#gpu.check()
  }

  protected override reserve(
    byteLength: number,
    label: string,
    _use: BufferUse,
    unit?: number,
  ): GpuMemory {
    return this.#allocator.make(byteLength, label, unit)
  }

  /** The device keeps the memory until what was submitted has run. */
  protected override release({ memory }: OwnBuffer<GpuMemory>): void {
    this.#allocator.drop(memory)
  }

  protected override put(
    { memory }: OwnBuffer<GpuMemory>,
    byteOffset: number,
    bytes: Uint8Array,
  ): void {
    this.#submit()
    let from = 0
    for (const range of memory.ranges(byteOffset, bytes.byteLength)) {
      const { buffer, byteLength } = range
      const part = bytes.subarray(from, from + byteLength)
      this.#allocator.using(buffer, () => this.#putInto(buffer, range.byteOffset, part))
      from += byteLength
    }
  }

  #putInto(memory: GPUBuffer, byteOffset: number, bytes: Uint8Array): void {
    const { queue } = this.#gpu.device
    const stop = byteOffset + bytes.byteLength
    const begin = Math.ceil(byteOffset / 4) * 4
    const end = Math.floor(stop / 4) * 4
    if (begin < end) {
      const from = bytes.byteOffset + begin - byteOffset
      queue.writeBuffer(memory, begin, bytes.buffer, from, end - begin)
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
      this.#patch(memory, word / 4, mask, bits)
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
    this.#waiting.push({ pipeline, bindGroup, workgroups: [1, 1] })
    this.#submit()
    numbers.destroy()
  }

  protected override async take(
    { memory }: OwnBuffer<GpuMemory>,
    { byteOffset, byteLength }: BufferSlice,
  ): Promise<Uint8Array> {
    this.#submit()
    try {
      const reads = [...memory.ranges(byteOffset, byteLength)].map((range) =>
        this.#allocator.using(range.buffer, () =>
          this.#reader.read(range.buffer, range.byteOffset, range.byteLength),
        ),
      )
      const parts = await this.#gpu.answer(Promise.all(reads))
      const bytes = parts.length === 1 ? parts[0] : joinBytes(parts)
      await this.#gpu.answer(this.#allocator.ready())
      this.#gpu.check()
      return bytes
    } catch (cause) {
      await this.#gpu.answer(this.#allocator.ready())
      this.#gpu.fail(`The GPU's memory could not be read: ${messageOf(cause)}.`)
      throw await this.#gpu.settle().then(
        () => cause,
        (error) => error,
      )
    }
  }

  protected override async compile(commands: readonly ValidCommand[]): Promise<Program> {
    const unshaded = commands.find(
      ({ operation, command }) => operation.workgroups?.(command) === undefined,
    )
    if (unshaded !== undefined) {
      throw new BackendError(`Expected operations with a shader, got ${unshaded.command.op}.`)
    }
    // All that the commands name, what jobs leave out too.
    const buffers = commands.flatMap(({ operands }) =>
      operands.flatMap((own) => (own ? [this.ownSlice(own.slice)] : [])),
    )
    const isBase = this.isa === BASE_ISA
    await this.#gpu.answer(this.#allocator.ready())
    const { bindingBytes } = this.#powers
    const jobs = isBase
      ? commands.flatMap((own) => stripeJobs(own, bindingBytes) ?? baseJobs(own))
      : jobsOf(commands, this.#powers)
    const making = makeProgram(jobs, {
      device: this.#gpu.device,
      mostBytes: bindingBytes,
      memoryOf: (slice) => this.ownSlice(slice).memory,
      pipelineOf: (job) => this.#pipelines.of(job),
    })
    const program = await this.#gpu.answer(making)
    const release = () => {
      this.#submit()
      for (const buffer of program.buffers) buffer.destroy()
    }
    return this.programOf(program, { commandCount: commands.length, buffers, release })
  }

  protected override start(program: GpuProgram): void {
    if (this.#waiting.length === 0) queueMicrotask(() => this.#submit())
    for (const step of program.steps) this.#waiting.push(step)
    if (this.#waiting.length >= ENOUGH_WAITING) this.#submit()
  }

  /** Hands over what waits. To be called before anything else is asked of the device. */
  #submit(): void {
    if (this.#waiting.length === 0) return
    const steps = this.#waiting
    this.#waiting = []
    for (let at = 0; at < steps.length; at += MOST_TOGETHER) {
      this.#handOver(steps.slice(at, at + MOST_TOGETHER))
    }
  }

  #handOver(steps: GpuProgram['steps']): void {
    const { device } = this.#gpu
    const encoder = device.createCommandEncoder()
    let pass: GPUComputePassEncoder | undefined
    let pipeline: GPUComputePipeline | undefined
    for (const step of steps) {
      if ('from' in step) {
        pass?.end()
        pass = undefined
        const { from, fromOffset, to, toOffset, byteLength } = step
        encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, byteLength)
        continue
      }
      if (pass === undefined) {
        pass = encoder.beginComputePass(this.#clock.ofPass())
        pipeline = undefined
      }
      if (step.pipeline !== pipeline) pass.setPipeline(step.pipeline)
      pipeline = step.pipeline
      pass.setBindGroup(0, step.bindGroup)
      pass.dispatchWorkgroups(step.workgroups[0], step.workgroups[1])
    }
    this.#clock.count(steps)
    pass?.end()
    device.queue.submit([encoder.finish()])
  }

  async watch(work: () => Promise<void>): Promise<DeviceWork> {
    await this.done()
    this.#clock.start()
    await work().finally(() => this.#submit())
    return this.#gpu.answer(this.#clock.stop())
  }

  protected override settle(): Promise<void> {
    this.#submit()
    return this.#gpu.settle()
  }

  protected override async finish(last: () => void): Promise<void> {
    this.#submit()
    // Whatever went wrong is for those who asked.
    await this.#gpu.settle().catch(() => {})
    last()
  }

  /** The device keeps what is submitted. */
  protected override afterWork(giveUp: () => void): void {
    this.#submit()
    giveUp()
  }

  protected override close(): void {
    this.#reader.dispose()
    this.#clock.dispose()
    this.#gpu.device.destroy()
  }
}

export interface WebGpuOptions {
  /** Of a binding, where it is to have fewer than the device allows. */
  readonly mostBytes?: number | undefined
  /** What it can do with files, where there are some. */
  readonly files?: ((backend: Backend) => BackendFiles | undefined) | undefined
}

/**
 * Opens a GPU with the fastest variant that it runs, or the one that is asked for: the base on a device with no more
 * than all devices have.
 *
 * @param gpu where WebGPU is: `navigator.gpu`, or that of the package "webgpu" in Node
 * @throws BackendError if there is none, or no variant as asked
 */
export async function openWebGpuBackend(
  gpu: GPU | undefined,
  isa?: string,
  fallbacks: readonly string[] = [],
  { mostBytes, files }: WebGpuOptions = {},
): Promise<Backend> {
  if (isa !== undefined) variantNamed(webGpuVariants(), isa, 'shader')
  const device = await openDevice(gpu, { isLeast: isa === BASE_ISA, mostBytes })
  const patcher = await device.answer(new Pipelines(device.device).of(PATCH))
  const { int8Matrices } = device.powers
  if (isa === MATRIX_ISA && !int8Matrices) {
    device.device.destroy()
    throw new BackendError(
      `Expected a GPU whose driver offers int8 matrices for ${isa}, got ${device.title}, which does not ` +
        'here. Use another variant.',
    )
  }
  const likely = ISAS.filter((own) => own !== MATRIX_ISA || int8Matrices)
  for (const own of isa === undefined ? likely : [isa]) {
    const backend = new WebGpuBackend(device, own, patcher, fallbacks, files)
    // In software shaders take seconds to compile, and the fault would not be a driver's.
    const isTrusted = own === BASE_ISA || device.isSoftware
    const fault = isTrusted ? undefined : await faultOf(backend).catch(messageOf)
    if (fault === undefined) return backend
    const message = `The shaders of ${own} do not work on ${device.title}: ${fault}.`
    if (own === isa) {
      await backend.dispose()
      throw new BackendError(`${message} Use another variant.`)
    }
    console.warn(`${message} Others run in their place.`)
  }
  throw new BackendError(`No shaders work on ${device.title}. Use another backend.`)
}
