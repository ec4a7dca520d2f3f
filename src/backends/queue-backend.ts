/**
 * What the backends in this process share: buffers with their checks, and the order of writes, programs
 * and reads. A subclass has the memory, and makes and runs what a list of commands becomes.
 */
import { isWhole, messageOf } from '../checks.ts'
import { BackendError, ShapeError } from '../errors.ts'
import { checkIndexInputs, type ValidCommand, validateCommand } from '../kernels/commands.ts'
import { checkIndices, type IndexColumn, indexByteLength } from '../kernels/index-buffer.ts'
import type { Command } from '../kernels/ops.ts'
import {
  type BufferSlice,
  type DeviceBuffer,
  sliceBytes,
  sliceOf,
  WholeBuffer,
} from '../kernels/slice.ts'
import type { Backend, BackendLoss, BackendName, BufferUse, Program } from './backend.ts'
import { WorkQueue } from './work-queue.ts'

/** A buffer with what its backend keeps for it. */
export class OwnBuffer<Memory> extends WholeBuffer {
  readonly memory: Memory
  readonly columns: readonly IndexColumn[] | undefined

  constructor(
    label: string,
    byteLength: number,
    memory: Memory,
    columns?: readonly IndexColumn[] | undefined,
  ) {
    super(label, byteLength)
    this.memory = memory
    this.columns = columns
  }
}

interface ProgramFacts {
  readonly commandCount: number
  /** What it works on. */
  readonly buffers: readonly DeviceBuffer[]
  /** Gives up what the program holds; it may still be at work. */
  readonly release: () => void
}

class QueueProgram<Work> implements Program {
  readonly owner: unknown
  readonly work: Work
  readonly facts: ProgramFacts
  readonly commandCount: number
  /** How many buffers the backend had freed when the program's were last known to be there. */
  checkedAt: number
  isDisposed = false

  constructor(owner: unknown, work: Work, facts: ProgramFacts, freeCount: number) {
    this.owner = owner
    this.work = work
    this.facts = facts
    this.commandCount = facts.commandCount
    this.checkedAt = freeCount
  }

  dispose(): void {
    if (this.isDisposed) return
    this.isDisposed = true
    this.facts.release()
  }
}

export abstract class QueueBackend<Memory, Work> implements Backend {
  abstract readonly name: BackendName
  abstract readonly isa: string
  abstract readonly threads: number
  readonly fallbacks: readonly string[]
  readonly lost: Promise<BackendLoss>
  readonly #lose: (loss: BackendLoss) => void
  readonly #queue = new WorkQueue()
  readonly #buffers = new Set<DeviceBuffer>()
  #allocatedBytes = 0
  #freeCount = 0
  #disposal: Promise<void> | undefined

  constructor(fallbacks: readonly string[] = []) {
    this.fallbacks = fallbacks
    let lose: (loss: BackendLoss) => void = () => {}
    this.lost = new Promise((resolve) => {
      lose = resolve
    })
    this.#lose = lose
  }

  get description(): string {
    const { fallbacks } = this
    const what = `${this.name} ${this.isa}, ${this.threads} thread${this.threads === 1 ? '' : 's'}`
    return fallbacks.length === 0 ? what : `${what} (${fallbacks.join('; ')})`
  }

  get allocatedBytes(): number {
    return this.#allocatedBytes
  }

  allocate(byteLength: number, label: string, use: BufferUse = 'state'): DeviceBuffer {
    return this.#allocate(byteLength, label, use)
  }

  allocateIndices(rows: number, columns: readonly IndexColumn[], label: string): DeviceBuffer {
    const own = columns.map((column) => Object.freeze({ ...column }))
    return this.#allocate(indexByteLength(rows, own, label), label, 'state', Object.freeze(own))
  }

  #allocate(
    byteLength: number,
    label: string,
    use: BufferUse,
    columns?: readonly IndexColumn[],
  ): DeviceBuffer {
    this.#assertOpen()
    if (!isWhole(byteLength)) {
      throw new ShapeError(`Expected a byte length for "${label}", got ${byteLength}.`)
    }
    let memory: Memory
    try {
      memory = this.reserve(byteLength, label, use)
    } catch (cause) {
      if (cause instanceof BackendError) throw cause
      throw new BackendError(
        `Expected room for ${byteLength} bytes of "${label}", but the allocation failed. Use a smaller ` +
          'model, a shorter context or a smaller batch.',
        { cause },
      )
    }
    return this.adopt(new OwnBuffer(label, byteLength, memory, columns))
  }

  free(buffer: DeviceBuffer): void {
    const own = this.own(buffer)
    this.#buffers.delete(own)
    this.#allocatedBytes -= own.byteLength
    this.#freeCount++
    this.afterWork(() => this.release(own))
  }

  async ready(): Promise<void> {
    this.#assertOpen()
  }

  write(slice: BufferSlice, byteOffset: number, bytes: Uint8Array): void {
    this.#assertOpen()
    const target = sliceOf(slice, byteOffset, bytes.byteLength)
    const own = this.ownSlice(target)
    this.assertWritable(own)
    const isIdle = this.#queue.isIdle
    if (isIdle && own.columns === undefined) {
      this.view(own).set(bytes, target.byteOffset)
      return
    }
    // Indices are copied before they are checked, so that nobody changes them in between.
    const copy = new Uint8Array(bytes)
    if (own.columns) checkIndices(own.label, own.columns, target.byteOffset, copy)
    const work = () => this.view(own).set(copy, target.byteOffset)
    if (isIdle) work()
    else this.#queue.add(work)
  }

  async read(slice: BufferSlice): Promise<Uint8Array> {
    this.#assertOpen()
    const own = this.ownSlice(slice)
    return this.ask(() => sliceBytes(this.view(own), slice).slice())
  }

  async record(commands: readonly Command[]): Promise<Program> {
    this.#assertOpen()
    const valid = commands.map(validateCommand)
    for (const command of valid) checkIndexInputs(command)
    return this.compile(valid)
  }

  submit(program: Program): void {
    this.#assertOpen()
    if (!(program instanceof QueueProgram) || program.owner !== this) {
      throw new BackendError('Expected a program that this backend recorded, got another one.')
    }
    if (program.isDisposed) {
      throw new BackendError('Expected a live program, got a disposed one; record it again.')
    }
    if (program.checkedAt !== this.#freeCount) {
      for (const buffer of program.facts.buffers) this.own(buffer)
      program.checkedAt = this.#freeCount
    }
    const { work } = program
    this.#queue.add(() => this.#run(work))
  }

  async #run(work: Work): Promise<void> {
    try {
      await this.run(work)
    } catch (cause) {
      if (cause instanceof BackendError) throw cause
      throw new BackendError(`A pass failed: ${messageOf(cause)}. Load the model again.`, { cause })
    }
  }

  async done(): Promise<void> {
    this.#assertOpen()
    await this.ask(() => {})
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#queue.finish(() => {
      for (const buffer of this.#buffers) this.release(buffer as OwnBuffer<Memory>)
      this.#buffers.clear()
      this.#allocatedBytes = 0
      this.close()
    })
    return this.#disposal
  }

  #assertOpen(): void {
    if (this.#disposal === undefined) return
    throw new BackendError('The backend is disposed; open a new one.')
  }

  /** @throws BackendError if the buffer is freed or of another backend */
  protected own(buffer: DeviceBuffer): OwnBuffer<Memory> {
    if (this.#buffers.has(buffer)) return buffer as OwnBuffer<Memory>
    throw new BackendError(
      `Expected a buffer of this backend, got "${buffer.label}", which is used after it was freed or ` +
        'is of another one.',
    )
  }

  /**
   * The buffer of an operand.
   *
   * @throws BackendError if it is freed or of another backend
   * @throws ShapeError if the slice is not within it
   */
  protected ownSlice({ label, buffer, byteOffset, byteLength }: BufferSlice): OwnBuffer<Memory> {
    const own = this.own(buffer)
    // The slice may be any object, and a buffer is the slice that is all of it.
    if (byteLength !== own.byteLength || byteOffset !== 0) {
      sliceOf(own, byteOffset, byteLength, label)
    }
    return own
  }

  /** A slice's memory for a caller, who may write to it. */
  protected viewForCaller(slice: BufferSlice): Uint8Array {
    const own = this.ownSlice(slice)
    if (own.columns === undefined) return sliceBytes(this.view(own), slice)
    throw new ShapeError(
      `Expected a buffer whose memory may be written to in place, got "${own.label}" of indices. Use ` +
        'write, which checks them.',
    )
  }

  /** Makes a buffer one of this backend's. */
  protected adopt(buffer: OwnBuffer<Memory>): DeviceBuffer {
    this.#buffers.add(buffer)
    this.#allocatedBytes += buffer.byteLength
    return buffer
  }

  protected programOf(work: Work, facts: ProgramFacts): Program {
    // Once the backend is disposed, all is given up anyway.
    const release = () => this.#disposal ?? facts.release()
    return new QueueProgram(this, work, { ...facts, release }, this.#freeCount)
  }

  /** Does something after all that was submitted so far, with its result for the caller. */
  protected ask<T>(work: () => T | Promise<T>): Promise<T> {
    return this.#queue.ask(work)
  }

  /** Gives something up when nothing that was submitted uses it any more. */
  protected afterWork(giveUp: () => void): void {
    if (this.#queue.isIdle) giveUp()
    else void this.#queue.finish(giveUp)
  }

  /** Says that the device no longer answers. */
  protected lose(reason: string): void {
    this.#lose({ reason })
  }

  /** @throws BackendError if this buffer cannot be written to */
  protected assertWritable(_buffer: OwnBuffer<Memory>): void {}

  /** Zeroed memory. */
  protected abstract reserve(byteLength: number, label: string, use: BufferUse): Memory
  protected abstract release(buffer: OwnBuffer<Memory>): void
  protected abstract view(buffer: OwnBuffer<Memory>): Uint8Array
  /** @throws BackendError if a command's buffer is not this backend's */
  protected abstract compile(commands: readonly ValidCommand[]): Program
  protected abstract run(work: Work): void | Promise<void>
  /** Ends threads, after the last program. */
  protected abstract close(): void
}
