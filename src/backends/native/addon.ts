/** The addon's functions (native/addon.c). Node only. */
import { createRequire } from 'node:module'
import { messageOf } from '../../checks.ts'
import { BackendError } from '../../errors.ts'
import { findAddon, thisPlace } from './find-addon.ts'

declare const poolBrand: unique symbol
declare const programBrand: unique symbol
export interface PoolHandle {
  readonly [poolBrand]: true
}
export interface ProgramHandle {
  readonly [programBrand]: true
}

export interface Addon {
  /** Kernel variants in the binary, fastest first; `missing` names what this machine lacks. */
  variants(): { isa: string; missing: string | null }[]
  /** Zeroed pages; `largePages` for what is filled whole and streamed. */
  allocate(bytes: number, largePages: boolean): ArrayBuffer
  addressOf(buffer: ArrayBuffer): number
  /** Detaches the buffer and gives its pages back. */
  release(buffer: ArrayBuffer): void
  /** Counts so many bytes more, or fewer, to what makes the engine collect garbage. */
  weigh(bytes: number): void
  openPool(isa: string, threads: number): PoolHandle
  closePool(pool: PoolHandle): void
  poolThreads(pool: PoolHandle): number
  /** The variant whose kernels ran the last program; null before the first. */
  ranIsa(pool: PoolHandle): string | null
  /** Commands as kernels/commands.ts lays them out. */
  record(slots: Float64Array): ProgramHandle
  submit(pool: PoolHandle, program: ProgramHandle): Promise<void>
  /**
   * The checksum of a file, and its bytes in memory if `map` is set: they must not be written to. `file`
   * is the address of what {@link Addon.readSparse} reads from, for as long as the bytes are not released.
   */
  openImage(
    path: string,
    threads: number,
    map: boolean,
  ): Promise<{ bytes: ArrayBuffer | null; checksum: string; file: number }>
  /** Of a part of a mapped file: all of it is read in every pass. */
  markDense(bytes: ArrayBuffer, byteOffset: number, byteLength: number): void
  /**
   * Puts a file's pages in place of a part of a buffer that holds the same bytes, and frees its memory.
   *
   * @returns false, and nothing has changed, where the system cannot
   */
  replace(
    buffer: ArrayBuffer,
    byteOffset: number,
    byteLength: number,
    file: number,
    fileOffset: number,
  ): boolean
  /**
   * Fills `source`, a buffer of SPARSE_SOURCE_BYTES: commands that have it as their source copy
   * sparse bytes from the file, where those of `address` are at `fileOffset`.
   */
  readSparse(source: ArrayBuffer, file: number, address: number, fileOffset: number): void
}

const require = createRequire(import.meta.url)

let loaded: Addon | undefined

/** @throws BackendError if there is none, with the command that brings it, or if it does not load */
export function loadAddon(): Addon {
  if (loaded) return loaded
  const path = findAddon(thisPlace())
  try {
    loaded = require(path) as Addon
  } catch (cause) {
    const reason = messageOf(cause).split('\n')[0]
    throw new BackendError(`The native addon ${path} does not load: ${reason}`, { cause })
  }
  return loaded
}
