/**
 * The native backend: C kernels behind Node-API, with a thread pool that replays recorded lists.
 *
 * Buffers are pages outside the JavaScript heap that JavaScript can also see, so that loading writes
 * straight into them and logits are read without a copy.
 */
import { availableParallelism } from 'node:os'
import { BackendError } from '../../errors.ts'
import type { Command, DeviceBuffer } from '../../kernels/commands.ts'
import { validateCommand } from '../../kernels/validate.ts'
import type { Backend, BufferUse, Program } from '../backend.ts'
import { type Addon, loadAddon, type PoolHandle, type ProgramHandle } from './addon.ts'
import { type Encoded, encodeCommand, encodeProgram, scratchByteLength } from './encode-command.ts'

export interface NativeOptions {
  /** Forces a variant, e.g. 'x86-avx2'; unset: the fastest that runs here. */
  readonly isa?: string | undefined
  /** Unset: one per core this process may use. */
  readonly threads?: number | undefined
}

export interface NativeVariant {
  readonly isa: string
  readonly supported: boolean
  /** What the machine lacks, where it is not supported. */
  readonly reason?: string
}

/** More threads than any machine this runs on has cores; a typing error is caught here. */
const MAX_THREADS = 1024

/**
 * The kernel variants in the addon, fastest first.
 *
 * @throws BackendError if the addon cannot be loaded
 */
export function nativeVariants(): NativeVariant[] {
  return loadAddon()
    .variants()
    .map(({ isa, missing }) =>
      missing === null
        ? { isa, supported: true }
        : { isa, supported: false, reason: `this machine has no ${missing}` },
    )
}

/**
 * Opens the native backend.
 *
 * @throws BackendError if the addon does not load or the forced variant does not run here
 */
export function openNativeBackend(options: NativeOptions = {}): NativeBackend {
  const addon = loadAddon()
  const variants = nativeVariants()
  const wanted = options.isa ?? variants.find((v) => v.supported)?.isa
  const variant = variants.find((v) => v.isa === wanted)
  if (!variant?.supported) {
    const known = variants.map((v) => v.isa + (v.supported ? '' : ` (${v.reason})`)).join(', ')
    throw new BackendError(`Expected a kernel variant that runs here, got "${wanted}": ${known}.`)
  }
  const threads = options.threads ?? availableParallelism()
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new BackendError(`Expected 1 to ${MAX_THREADS} threads, got ${threads}.`)
  }
  return new NativeBackend(addon, variant.isa, threads)
}

interface NativeBuffer extends DeviceBuffer {
  readonly memory: ArrayBuffer
  readonly bytes: Uint8Array
  readonly address: number
}

interface NativeProgram extends Program {
  readonly handle: ProgramHandle
}

export class NativeBackend implements Backend {
  readonly name = 'native'
  readonly isa: string
  readonly threads: number
  readonly description: string
  readonly #addon: Addon
  readonly #pool: PoolHandle
  readonly #buffers = new Set<DeviceBuffer>()
  #allocatedBytes = 0
  #last: Promise<void> = Promise.resolve()
  #disposed = false

  /** @internal Use {@link openNativeBackend}. */
  constructor(addon: Addon, isa: string, threads: number) {
    this.#addon = addon
    this.#pool = addon.openPool(isa, threads)
    this.isa = isa
    this.threads = addon.poolThreads(this.#pool)
    this.description = `native ${isa}, ${this.threads} thread${this.threads === 1 ? '' : 's'}`
  }

  get allocatedBytes(): number {
    return this.#allocatedBytes
  }

  allocate(byteLength: number, label: string, use: BufferUse = 'state'): DeviceBuffer {
    if (!Number.isSafeInteger(byteLength) || byteLength < 1) {
      throw new BackendError(`Expected at least one byte for "${label}", got ${byteLength}.`)
    }
    // Kernels may read a whole vector from a row's last element.
    const memory = this.#addon.allocate(byteLength + 64, use === 'weights')
    const address = this.#addon.addressOf(memory)
    const bytes = new Uint8Array(memory, 0, byteLength)
    const buffer: NativeBuffer = { label, byteLength, memory, bytes, address }
    this.#buffers.add(buffer)
    this.#allocatedBytes += byteLength
    return buffer
  }

  free(buffer: DeviceBuffer): void {
    const { memory } = this.#own(buffer)
    this.#buffers.delete(buffer)
    this.#allocatedBytes -= buffer.byteLength
    this.#addon.release(memory)
  }

  write(buffer: DeviceBuffer, byteOffset: number, bytes: Uint8Array): void {
    this.#own(buffer).bytes.set(bytes, byteOffset)
  }

  async read(buffer: DeviceBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    await this.#last
    return this.#own(buffer).bytes.slice(byteOffset, byteOffset + byteLength)
  }

  map(buffer: DeviceBuffer): Uint8Array {
    return this.#own(buffer).bytes
  }

  record(commands: readonly Command[]): Program {
    const scratch: DeviceBuffer[] = []
    const encoded: Encoded[] = []
    let scratchBytes = 0
    for (const command of commands) {
      validateCommand(command)
      scratchBytes = Math.max(scratchBytes, scratchByteLength(command))
    }
    // Commands run one after the other, so one scratch buffer serves them all.
    const shared = scratchBytes > 0 ? this.allocate(scratchBytes, 'scratch') : undefined
    if (shared) scratch.push(shared)
    for (const command of commands) encoded.push(encodeCommand(command, shared))
    return this.recordEncoded(encoded, scratch)
  }

  /** @internal Also for the operations that only this backend has (native-operations.ts). */
  recordEncoded(encoded: readonly Encoded[], scratch: readonly DeviceBuffer[] = []): Program {
    const slots = encodeProgram(encoded, (buffer) => this.#own(buffer).address)
    const program: NativeProgram = {
      handle: this.#addon.record(slots),
      commandCount: encoded.length,
      dispose: () => {
        for (const buffer of scratch) if (this.#buffers.has(buffer)) this.free(buffer)
      },
    }
    return program
  }

  submit(program: Program): Promise<void> {
    if (this.#disposed) throw new BackendError('The native backend has been disposed of.')
    const { handle } = program as NativeProgram
    const previous = this.#last
    this.#last = previous.then(() => this.#addon.submit(this.#pool, handle))
    return this.#last
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    void this.#last.then(() => {
      for (const buffer of [...this.#buffers]) this.free(buffer)
      this.#addon.closePool(this.#pool)
    })
  }

  #own(buffer: DeviceBuffer): NativeBuffer {
    if (!this.#buffers.has(buffer)) {
      throw new BackendError(`The buffer "${buffer.label}" is freed or of another backend.`)
    }
    return buffer as NativeBuffer
  }
}
