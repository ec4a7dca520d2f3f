/**
 * What the backends in C share: buffers with an address, lists encoded as slots, one submission after
 * the other. A subclass has the memory and runs the lists.
 */

import { BackendError } from '../errors.ts'
import { collectStepInputs, validateCommand } from '../kernels/commands.ts'
import { wordsOf } from '../kernels/operand-kinds.ts'
import type { Command } from '../kernels/ops.ts'
import { type BufferSlice, type DeviceBuffer, sliceBytes, WholeBuffer } from '../kernels/slice.ts'
import { checkStepInputs, type StepInput } from '../kernels/step-inputs.ts'
import type { Backend, BackendName, BufferUse, Program } from './backend.ts'
import { encodeCommand, encodeProgram, scratchByteLength } from './encode-command.ts'

/** Kernels may read a whole vector from a row's last element. */
export const TAIL_BYTES = 64

/** A buffer with its place in the backend's memory. */
export class ListBuffer<Memory> extends WholeBuffer {
  readonly address: number
  readonly memory: Memory

  constructor(label: string, byteLength: number, address: number, memory: Memory) {
    super(label, byteLength)
    this.address = address
    this.memory = memory
  }
}

class ListProgram<List> implements Program {
  readonly owner: unknown
  readonly list: List
  readonly commandCount: number
  readonly inputs: readonly StepInput[]
  readonly #release: () => void
  #disposed = false

  constructor(
    owner: unknown,
    list: List,
    facts: { commandCount: number; inputs: readonly StepInput[]; release: () => void },
  ) {
    this.owner = owner
    this.list = list
    this.commandCount = facts.commandCount
    this.inputs = facts.inputs
    this.#release = facts.release
  }

  get disposed(): boolean {
    return this.#disposed
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#release()
  }
}

export abstract class ListBackend<Memory, List> implements Backend {
  abstract readonly name: BackendName
  abstract readonly isa: string
  abstract readonly threads: number
  readonly #buffers = new Set<DeviceBuffer>()
  #allocatedBytes = 0
  /** Settles, always well, when all programs submitted so far have run. */
  #idle: Promise<void> = Promise.resolve()
  #disposed = false

  get description(): string {
    return `${this.name} ${this.isa}, ${this.threads} thread${this.threads === 1 ? '' : 's'}`
  }

  get allocatedBytes(): number {
    return this.#allocatedBytes
  }

  allocate(byteLength: number, label: string, use: BufferUse = 'state'): DeviceBuffer {
    if (this.#disposed) throw new BackendError('The backend is disposed; open a new one.')
    if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
      throw new BackendError(`Expected a byte length for "${label}", got ${byteLength}.`)
    }
    const { address, memory } = this.reserve(byteLength + TAIL_BYTES, label, use)
    return this.adopt(new ListBuffer(label, byteLength, address, memory))
  }

  free(buffer: DeviceBuffer): void {
    const own = this.own(buffer)
    this.#buffers.delete(own)
    this.#allocatedBytes -= own.byteLength
    this.release(own, own.byteLength + TAIL_BYTES)
  }

  write(slice: BufferSlice, byteOffset: number, bytes: Uint8Array): void {
    this.memoryOf(slice).set(bytes, byteOffset)
  }

  async read(slice: BufferSlice, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    await this.#idle
    return this.memoryOf(slice).slice(byteOffset, byteOffset + byteLength)
  }

  record(commands: readonly Command[]): Program {
    let scratchBytes = 0
    for (const command of commands) {
      validateCommand(command)
      scratchBytes = Math.max(scratchBytes, scratchByteLength(command))
    }
    // Commands run one after the other, so one scratch buffer serves them all.
    const scratch = scratchBytes > 0 ? this.allocate(scratchBytes, 'scratch') : undefined
    const encoded = commands.map((command) => encodeCommand(command, scratch))
    const inputs = collectStepInputs(commands)
    const slots = encodeProgram(
      encoded,
      ({ buffer, byteOffset }) => this.own(buffer).address + byteOffset,
      ({ buffer }) => this.sparseSource(this.own(buffer)),
    )
    const list = this.makeList(slots, encoded.length)
    const release = () => {
      this.dropList(list)
      if (scratch && this.#buffers.has(scratch)) this.free(scratch)
    }
    return new ListProgram(this, list, { commandCount: encoded.length, inputs, release })
  }

  submit(program: Program): Promise<void> {
    if (!(program instanceof ListProgram) || program.owner !== this) {
      throw new BackendError('Expected a program that this backend recorded, got another one.')
    }
    return this.whenIdle(() => {
      if (program.disposed || this.#disposed) {
        throw new BackendError('Expected a live program and backend, got a disposed one.')
      }
      checkStepInputs(program.inputs, (slice) => wordsOf(slice, (s) => this.memoryOf(s)))
      return this.runList(program.list as List)
    })
  }

  /** Runs something after all programs submitted so far, and before those submitted later. */
  protected whenIdle(run: () => void | Promise<void>): Promise<void> {
    const result = this.#idle.then(run)
    this.#idle = result.catch(() => undefined)
    return result
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    void this.#idle.then(() => {
      for (const buffer of [...this.#buffers]) this.free(buffer)
      this.close()
    })
  }

  protected own(buffer: DeviceBuffer): ListBuffer<Memory> {
    if (this.#buffers.has(buffer)) return buffer as ListBuffer<Memory>
    throw new BackendError(`The buffer "${buffer.label}" is freed or of another backend.`)
  }

  protected memoryOf(slice: BufferSlice): Uint8Array {
    return sliceBytes(this.view(this.own(slice.buffer)), slice)
  }

  /** Makes a buffer one of this backend's. */
  protected adopt(buffer: ListBuffer<Memory>): DeviceBuffer {
    this.#buffers.add(buffer)
    this.#allocatedBytes += buffer.byteLength
    return buffer
  }

  /** The address of what kernels read a buffer's sparse end from; 0 where all is in memory. */
  protected sparseSource(_buffer: ListBuffer<Memory>): number {
    return 0
  }

  /** Zeroed memory. */
  protected abstract reserve(
    byteLength: number,
    label: string,
    use: BufferUse,
  ): { address: number; memory: Memory }
  protected abstract release(buffer: ListBuffer<Memory>, byteLength: number): void
  protected abstract view(buffer: ListBuffer<Memory>): Uint8Array
  /** A list of `count` commands, ready to run again and again. */
  protected abstract makeList(slots: Float64Array, count: number): List
  protected abstract dropList(list: List): void
  protected abstract runList(list: List): Promise<void>
  /** Ends threads, after the last list. */
  protected abstract close(): void
}
