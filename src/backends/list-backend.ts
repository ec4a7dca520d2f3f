/**
 * What the backends in C share: buffers with an address, and lists encoded as slots. A subclass has the
 * memory and runs the lists.
 */
import type { Command } from '../kernels/ops.ts'
import type { BufferSlice, DeviceBuffer } from '../kernels/slice.ts'
import type { BufferUse, Program } from './backend.ts'
import { encodeCommand, encodeProgram, scratchByteLength } from './encode-command.ts'
import { type OwnBuffer, QueueBackend } from './queue-backend.ts'

/** Kernels may read a whole vector from a row's last element. */
export const TAIL_BYTES = 64

/** A buffer's place in the backend's memory. */
export interface Place {
  readonly address: number
}

export abstract class ListBackend<Memory extends Place, List> extends QueueBackend<Memory, List> {
  protected override compile(commands: readonly Command[]): Program {
    // Commands run one after the other, so one scratch buffer serves them all.
    const scratchBytes = Math.max(0, ...commands.map(scratchByteLength))
    const scratch = scratchBytes > 0 ? this.allocate(scratchBytes, 'scratch') : undefined
    try {
      return this.#encode(commands, scratch)
    } catch (error) {
      if (scratch) this.free(scratch)
      throw error
    }
  }

  #encode(commands: readonly Command[], scratch: DeviceBuffer | undefined): Program {
    const buffers: DeviceBuffer[] = []
    const addressOf = (slice: BufferSlice) => {
      const own = this.ownSlice(slice)
      buffers.push(own)
      return own.memory.address + slice.byteOffset
    }
    const sourceOf = ({ buffer }: BufferSlice) => this.sparseSource(this.own(buffer))
    const encoded = commands.map((command) => encodeCommand(command, scratch))
    const list = this.makeList(encodeProgram(encoded, addressOf, sourceOf), commands.length)
    const release = () => {
      this.afterWork(() => this.dropList(list))
      if (scratch) this.free(scratch)
    }
    return this.programOf(list, { commandCount: commands.length, buffers, release })
  }

  protected override reserve(byteLength: number, label: string, use: BufferUse): Memory {
    return this.reservePlace(byteLength + TAIL_BYTES, label, use)
  }

  /** The address of what kernels read a buffer's sparse end from; 0 where all is in memory. */
  protected sparseSource(_buffer: OwnBuffer<Memory>): number {
    return 0
  }

  /** Zeroed memory at a multiple of 64. */
  protected abstract reservePlace(byteLength: number, label: string, use: BufferUse): Memory
  /** A list of `count` commands, ready to run again and again. */
  protected abstract makeList(slots: Float64Array, count: number): List
  protected abstract dropList(list: List): void
}
