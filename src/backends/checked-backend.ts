/**
 * What all backends share: buffers and programs with their checks, so that what reaches a device is
 * right. A subclass has the memory and the queue.
 */
import { isWhole } from '../checks.ts'
import { BackendError, ShapeError } from '../errors.ts'
import { checkIndexInputs, type ValidCommand, validateCommand } from '../kernels/commands.ts'
import type { Rounding } from '../kernels/define-op.ts'
import { checkIndices, type IndexColumn, indexByteLength } from '../kernels/index-buffer.ts'
import type { Command } from '../kernels/ops.ts'
import { type BufferSlice, type DeviceBuffer, sliceOf, WholeBuffer } from '../kernels/slice.ts'
import type { Backend, BackendLoss, BackendName, BufferUse, Program } from './backend.ts'

/** A buffer with what its backend keeps for it. */
export class OwnBuffer<Memory> extends WholeBuffer {
  readonly memory: Memory
  readonly columns: readonly IndexColumn[] | undefined
  readonly isScratch: boolean

  constructor(
    label: string,
    byteLength: number,
    memory: Memory,
    columns?: readonly IndexColumn[] | undefined,
    isScratch = false,
  ) {
    super(label, byteLength)
    this.memory = memory
    this.columns = columns
    this.isScratch = isScratch
  }
}

interface ProgramFacts {
  readonly commandCount: number
  /** What it works on. */
  readonly buffers: readonly DeviceBuffer[]
  /** Gives up what the program holds; it may still be at work. */
  readonly release: () => void
}

interface AllocationFacts {
  readonly use: BufferUse
  readonly unit?: number | undefined
  readonly columns?: readonly IndexColumn[]
}

class CheckedProgram<Work> implements Program {
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

export abstract class CheckedBackend<Memory, Work> implements Backend {
  abstract readonly name: BackendName
  abstract readonly isa: string
  abstract readonly threads: number
  readonly rounding: Rounding = 'reference'
  readonly commitsOnUse: boolean = false
  readonly fallbacks: readonly string[]
  readonly lost: Promise<BackendLoss>
  readonly #lose: (loss: BackendLoss) => void
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

  allocate(
    byteLength: number,
    label: string,
    use: BufferUse = 'state',
    unit?: number,
  ): DeviceBuffer {
    return this.#allocate(byteLength, label, { use, unit })
  }

  allocateIndices(rows: number, columns: readonly IndexColumn[], label: string): DeviceBuffer {
    const own = columns.map((column) => Object.freeze({ ...column }))
    const facts = { use: 'state' as const, columns: Object.freeze(own) }
    return this.#allocate(indexByteLength(rows, own, label), label, facts)
  }

  #allocate(
    byteLength: number,
    label: string,
    { use, unit, columns }: AllocationFacts,
  ): DeviceBuffer {
    this.#assertOpen()
    if (!isWhole(byteLength)) {
      throw new ShapeError(`Expected a byte length for "${label}", got ${byteLength}.`)
    }
    let memory: Memory
    try {
      memory = this.reserve(byteLength, label, use, unit)
    } catch (cause) {
      if (cause instanceof BackendError) throw cause
      throw new BackendError(
        `Expected room for ${byteLength} bytes of "${label}", but the allocation failed. Use a smaller ` +
          'model, a shorter context or a smaller batch.',
        { cause },
      )
    }
    return this.adopt(new OwnBuffer(label, byteLength, memory, columns, use === 'scratch'))
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
    if (own.columns === undefined) {
      this.put(own, target.byteOffset, bytes)
      return
    }
    // Indices are copied before they are checked, so that nobody changes them in between.
    const copy = new Uint8Array(bytes)
    checkIndices(own.label, own.columns, target.byteOffset, copy)
    this.put(own, target.byteOffset, copy)
  }

  async read(slice: BufferSlice): Promise<Uint8Array> {
    this.#assertOpen()
    return this.take(this.ownSlice(slice), slice)
  }

  async record(commands: readonly Command[]): Promise<Program> {
    this.#assertOpen()
    const valid = commands.map(validateCommand)
    for (const command of valid) checkIndexInputs(command)
    return this.compile(valid)
  }

  submit(program: Program): void {
    this.#assertOpen()
    if (!(program instanceof CheckedProgram) || program.owner !== this) {
      throw new BackendError('Expected a program that this backend recorded, got another one.')
    }
    if (program.isDisposed) {
      throw new BackendError('Expected a live program, got a disposed one; record it again.')
    }
    if (program.checkedAt !== this.#freeCount) {
      for (const buffer of program.facts.buffers) this.own(buffer)
      program.checkedAt = this.#freeCount
    }
    this.start(program.work)
  }

  async done(): Promise<void> {
    this.#assertOpen()
    await this.settle()
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.finish(() => {
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

  /** Makes a buffer one of this backend's. */
  protected adopt(buffer: OwnBuffer<Memory>): DeviceBuffer {
    this.#buffers.add(buffer)
    this.#allocatedBytes += buffer.byteLength
    return buffer
  }

  protected programOf(work: Work, facts: ProgramFacts): Program {
    // Once the backend is disposed, all is given up anyway.
    const release = () => this.#disposal ?? facts.release()
    return new CheckedProgram(this, work, { ...facts, release }, this.#freeCount)
  }

  /** Says that the device no longer answers. */
  protected lose(reason: string): void {
    this.#lose({ reason })
  }

  /** @throws BackendError if this buffer cannot be written to */
  protected assertWritable(_buffer: OwnBuffer<Memory>): void {}

  /** Zeroed memory. */
  protected abstract reserve(
    byteLength: number,
    label: string,
    use: BufferUse,
    unit: number | undefined,
  ): Memory
  /** Gives up the memory of a buffer that nothing submitted uses any more. */
  protected abstract release(buffer: OwnBuffer<Memory>): void
  /** Writes after all that was submitted; the bytes may change as soon as this returns. */
  protected abstract put(buffer: OwnBuffer<Memory>, byteOffset: number, bytes: Uint8Array): void
  /** A copy of a slice of the buffer after all that was submitted. */
  protected abstract take(buffer: OwnBuffer<Memory>, slice: BufferSlice): Promise<Uint8Array>
  /** @throws BackendError if a command's buffer is not this backend's */
  protected abstract compile(commands: readonly ValidCommand[]): Program | Promise<Program>
  /** Runs a program after all that was submitted. */
  protected abstract start(work: Work): void
  /** Settles when all that was submitted has run. @throws BackendError if something failed */
  protected abstract settle(): Promise<void>
  /** Does the last work of all, after what was submitted and whatever became of it. */
  protected abstract finish(last: () => void): Promise<void>
  /** Gives something up when nothing that was submitted uses it any more. */
  protected abstract afterWork(giveUp: () => void): void
  /** Gives up the device, after the last program. */
  protected abstract close(): void
}
