/**
 * What the backends in C share: kernel variants, buffers with an address, and lists encoded as slots. A
 * subclass has the memory and runs the lists.
 */
import { BackendError } from '../errors.ts'
import { encodeProgram, scratchByteLength, type ValidCommand } from '../kernels/commands.ts'
import type { BufferSlice, DeviceBuffer } from '../kernels/slice.ts'
import type { BufferUse, Program } from './backend.ts'
import type { OwnBuffer } from './checked-backend.ts'
import { QueueBackend } from './queue-backend.ts'

/** The same kernels for one instruction set. */
export interface KernelVariant<Isa extends string = string> {
  readonly isa: Isa
  readonly supported: boolean
  /** What is missing, where it is not supported. */
  readonly reason?: string
}

/**
 * The variant of this name.
 *
 * @param kind of what, for the message
 * @throws BackendError naming those there are, if it is none of them or does not run here
 */
export function variantNamed<Isa extends string>(
  variants: readonly KernelVariant<Isa>[],
  wanted: string | undefined,
  kind: string,
): Isa {
  const variant = variants.find(({ isa }) => isa === wanted)
  if (variant?.supported) return variant.isa
  const known = variants.map((v) => v.isa + (v.supported ? '' : ` (${v.reason})`)).join(', ')
  throw new BackendError(`Expected a ${kind} variant that runs here, got "${wanted}": ${known}.`)
}

/** What is reserved behind a buffer: kernels may read a whole vector from a row's last element. */
export const TAIL_BYTES = 64

/** A buffer's place in the backend's memory. */
export interface Place {
  readonly address: number
}

interface Scratch {
  readonly buffer: DeviceBuffer
  /** Programs that have its address. */
  users: number
}

export abstract class ListBackend<Memory extends Place, List> extends QueueBackend<Memory, List> {
  /** What programs work in: they run one after the other, as their commands do, and share the same. */
  #scratch: Scratch | undefined

  protected override compile(commands: readonly ValidCommand[]): Program {
    const scratch = this.#useScratch(Math.max(0, ...commands.map(scratchByteLength)))
    try {
      return this.#encode(commands, scratch)
    } catch (error) {
      this.#leaveScratch(scratch)
      throw error
    }
  }

  #useScratch(byteLength: number): Scratch | undefined {
    if (byteLength === 0) return undefined
    if (this.#scratch === undefined || this.#scratch.buffer.byteLength < byteLength) {
      this.#scratch = { buffer: this.allocate(byteLength, 'scratch'), users: 0 }
    }
    this.#scratch.users++
    return this.#scratch
  }

  #leaveScratch(scratch: Scratch | undefined): void {
    if (scratch === undefined || --scratch.users > 0) return
    this.free(scratch.buffer)
    if (this.#scratch === scratch) this.#scratch = undefined
  }

  #encode(commands: readonly ValidCommand[], scratch: Scratch | undefined): Program {
    const buffers: DeviceBuffer[] = []
    const addressOf = (slice: BufferSlice) => {
      const own = this.ownSlice(slice)
      buffers.push(own)
      return own.memory.address + slice.byteOffset
    }
    const slots = encodeProgram(commands, {
      of: addressOf,
      sparseSource: ({ buffer }) => this.sparseSource(this.own(buffer)),
      scratch: scratch === undefined ? 0 : addressOf(scratch.buffer),
    })
    const list = this.makeList(slots, commands.length)
    const release = () => {
      this.afterWork(() => this.dropList(list))
      this.#leaveScratch(scratch)
    }
    return this.programOf(list, { commandCount: commands.length, buffers, release })
  }

  /** The address of what kernels read a buffer's sparse end from; 0 where all is in memory. */
  protected sparseSource(_buffer: OwnBuffer<Memory>): number {
    return 0
  }

  /** Zeroed memory at a multiple of 64, with {@link TAIL_BYTES} behind it. */
  protected abstract override reserve(byteLength: number, label: string, use: BufferUse): Memory
  /** A list of `count` commands, ready to run again and again. */
  protected abstract makeList(slots: Float64Array, count: number): List
  protected abstract dropList(list: List): void
}
