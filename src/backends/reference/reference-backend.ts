/**
 * The backend that runs the references: plain TypeScript, one thread, any platform. It is what the
 * other backends are tested against, and what runs where nothing else can.
 */

import { BackendError, ShapeError } from '../../errors.ts'
import {
  collectStepInputs,
  operandsOf,
  operationOf,
  runReference,
  validateCommand,
} from '../../kernels/commands.ts'
import { wordsOf } from '../../kernels/operand-kinds.ts'
import type { Command } from '../../kernels/ops.ts'
import {
  type BufferSlice,
  type DeviceBuffer,
  sliceBytes,
  WholeBuffer,
} from '../../kernels/slice.ts'
import { checkStepInputs, type StepInput } from '../../kernels/step-inputs.ts'
import type { Backend, Program } from '../backend.ts'

/** How long commands run before timers, signals and streams get their turn, in milliseconds. */
const YIELD_AFTER_MS = 20

class ReferenceBuffer extends WholeBuffer {
  readonly bytes: Uint8Array
  freed = false

  constructor(bytes: Uint8Array, label: string) {
    super(label, bytes.byteLength)
    this.bytes = bytes
  }
}

class ReferenceProgram implements Program {
  readonly commands: readonly Command[]
  readonly inputs: readonly StepInput[]
  readonly owner: ReferenceBackend
  disposed = false

  constructor(commands: readonly Command[], owner: ReferenceBackend) {
    this.commands = commands
    this.inputs = collectStepInputs(commands)
    this.owner = owner
  }

  get commandCount(): number {
    return this.commands.length
  }

  dispose(): void {
    this.disposed = true
  }
}

class ReferenceBackend implements Backend {
  readonly name = 'reference'
  readonly isa = 'typescript'
  readonly threads = 1
  readonly description = 'reference typescript, 1 thread'
  readonly #buffers = new Set<ReferenceBuffer>()
  #allocatedBytes = 0
  /** Settles, always well, when all programs submitted so far have run. */
  #idle: Promise<void> = Promise.resolve()
  #disposed = false
  readonly #memory = (slice: BufferSlice): Uint8Array =>
    sliceBytes(this.#own(slice.buffer).bytes, slice)

  get allocatedBytes(): number {
    return this.#allocatedBytes
  }

  allocate(byteLength: number, label: string): DeviceBuffer {
    if (this.#disposed) throw new BackendError('The backend is disposed; open a new one.')
    if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
      throw new ShapeError(`Expected a byte length for buffer "${label}", got ${byteLength}.`)
    }
    let bytes: Uint8Array
    try {
      bytes = new Uint8Array(byteLength)
    } catch (cause) {
      throw new BackendError(
        `Expected room for ${byteLength} bytes of "${label}", but the allocation failed. ` +
          'Free memory or load a smaller model.',
        { cause },
      )
    }
    const buffer = new ReferenceBuffer(bytes, label)
    this.#buffers.add(buffer)
    this.#allocatedBytes += byteLength
    return buffer
  }

  free(buffer: DeviceBuffer): void {
    const own = this.#own(buffer)
    own.freed = true
    this.#buffers.delete(own)
    this.#allocatedBytes -= own.byteLength
  }

  write(slice: BufferSlice, byteOffset: number, bytes: Uint8Array): void {
    this.#range(slice, byteOffset, bytes.byteLength).set(bytes)
  }

  async read(slice: BufferSlice, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    await this.#idle
    return this.#range(slice, byteOffset, byteLength).slice()
  }

  map(slice: BufferSlice): Uint8Array {
    return this.#memory(slice)
  }

  record(commands: readonly Command[]): Program {
    for (const command of commands) {
      if (!operationOf(command).hasReference) {
        throw new BackendError(`Expected an operation with a reference, got ${command.op}.`)
      }
      for (const { slice } of operandsOf(command)) this.#own(slice.buffer)
      validateCommand(command)
    }
    return new ReferenceProgram([...commands], this)
  }

  async submit(program: Program): Promise<void> {
    if (!(program instanceof ReferenceProgram) || program.owner !== this) {
      throw new BackendError('Expected a program that this backend recorded, got another one.')
    }
    const run = this.#idle.then(() => this.#run(program))
    this.#idle = run.catch(() => undefined)
    return run
  }

  dispose(): void {
    for (const buffer of this.#buffers) this.free(buffer)
    this.#disposed = true
  }

  async #run(program: ReferenceProgram): Promise<void> {
    if (program.disposed) {
      throw new BackendError('Expected a live program, got a disposed one; record it again.')
    }
    checkStepInputs(program.inputs, (slice) => wordsOf(slice, this.#memory))
    let began = performance.now()
    for (const command of program.commands) {
      runReference(command, this.#memory)
      if (performance.now() - began < YIELD_AFTER_MS) continue
      await new Promise((resolve) => setTimeout(resolve, 0))
      began = performance.now()
    }
  }

  #own(buffer: DeviceBuffer): ReferenceBuffer {
    if (!(buffer instanceof ReferenceBuffer) || (!buffer.freed && !this.#buffers.has(buffer))) {
      throw new BackendError(
        `Expected a buffer of this backend, got "${buffer.label}" of another one.`,
      )
    }
    if (buffer.freed) throw new BackendError(`Buffer "${buffer.label}" is used after it was freed.`)
    return buffer
  }

  #range(slice: BufferSlice, byteOffset: number, byteLength: number): Uint8Array {
    const bytes = this.#memory(slice)
    const end = byteOffset + byteLength
    if (!(byteOffset >= 0 && byteLength >= 0 && end <= bytes.byteLength)) {
      throw new ShapeError(
        `Expected a range within the ${bytes.byteLength} bytes of buffer "${slice.label}", ` +
          `got ${byteOffset} to ${end}.`,
      )
    }
    return bytes.subarray(byteOffset, end)
  }
}

/** Opens the reference backend. It holds nothing but its buffers. */
export function createReferenceBackend(): Backend {
  return new ReferenceBackend()
}
