/**
 * The backend that runs the references: plain TypeScript, one thread, any platform. It is what the
 * other backends are tested against, and what runs where nothing else can.
 */
import { BackendError } from '../../errors.ts'
import { runReference, type ValidCommand } from '../../kernels/commands.ts'
import type { Command } from '../../kernels/ops.ts'
import { type BufferSlice, sliceBytes } from '../../kernels/slice.ts'
import { turnOfTheLoop } from '../../turns.ts'
import type { Backend, Program } from '../backend.ts'
import type { OwnBuffer } from '../checked-backend.ts'
import { QueueBackend } from '../queue-backend.ts'

/** How long commands run before timers, signals and streams get their turn, in milliseconds. */
const YIELD_AFTER_MS = 20

class ReferenceBackend extends QueueBackend<Uint8Array, readonly Command[]> {
  readonly name = 'reference'
  readonly isa = 'typescript'
  readonly threads = 1

  map(slice: BufferSlice): Uint8Array {
    return this.viewForCaller(slice)
  }

  protected override reserve(byteLength: number): Uint8Array {
    return new Uint8Array(byteLength)
  }

  /** The garbage collector sees to it. */
  protected override release(): void {}

  protected override view({ memory }: OwnBuffer<Uint8Array>): Uint8Array {
    return memory
  }

  protected override compile(valid: readonly ValidCommand[]): Program {
    const lacking = valid.find(({ operation }) => !operation.hasReference)
    if (lacking) {
      throw new BackendError(`Expected operations with a reference, got ${lacking.command.op}.`)
    }
    const operands = valid.flatMap(({ operands }) => operands)
    const buffers = operands.flatMap((own) => (own ? [this.ownSlice(own.slice)] : []))
    const commands = valid.map(({ command }) => command)
    const release = () => {}
    return this.programOf(commands, { commandCount: commands.length, buffers, release })
  }

  protected override async run(commands: readonly Command[]): Promise<void> {
    const memory = (slice: BufferSlice) => {
      return sliceBytes((slice.buffer as OwnBuffer<Uint8Array>).memory, slice)
    }
    let began = performance.now()
    for (const command of commands) {
      runReference(command, memory)
      if (performance.now() - began < YIELD_AFTER_MS) continue
      await turnOfTheLoop()
      began = performance.now()
    }
  }

  protected override close(): void {}
}

/** Opens the reference backend. It holds nothing but its buffers. */
export function createReferenceBackend(fallbacks?: readonly string[]): Backend {
  return new ReferenceBackend(fallbacks)
}
