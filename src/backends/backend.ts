/**
 * What a backend is: memory, and an ordered queue of recorded commands over that memory.
 *
 * Model code allocates buffers, records a list of commands once and submits it for every step. What
 * changes from step to step (tokens, positions, sequences) lies in a buffer too, so that a recording
 * is replayed as it is. A backend is not asked for one operation at a time, and no JavaScript runs
 * between two commands of a list.
 *
 * `write`, `submit`, `free` and the disposal of programs take effect in the order of the calls, and
 * return at once; `read` and `done` wait. A backend may split a long program, and may run ahead or behind,
 * as long as nobody can tell from what is read.
 *
 * Integers agree on every backend, and no result depends on what else is in a pass. All float arithmetic
 * is float32; on processors in the order that each operation's reference spells out, and fused only where
 * that changes no bit, so that they agree bit for bit. A GPU's own order is within each operation's
 * tolerance of it.
 */

import type { Rounding } from '../kernels/define-op.ts'
import type { IndexColumn } from '../kernels/index-buffer.ts'
import type { Command } from '../kernels/ops.ts'
import type { BufferSlice, DeviceBuffer } from '../kernels/slice.ts'

/** All backends, in the order in which 'auto' tries them. */
export const BACKENDS = ['native', 'webgpu', 'wasm', 'reference'] as const

export type BackendName = (typeof BACKENDS)[number]

/** The address of a folder, which ends in "/", or of one module; or a module's bytes. */
export type WasmSource = string | URL | Uint8Array | ArrayBuffer

export interface BackendOptions {
  readonly backend?: 'auto' | BackendName | undefined
  /** Forces a kernel variant, e.g. 'x86-avx2' or 'wasm-simd'. */
  readonly isa?: string | undefined
  /** Threads; unset: the physical cores, or in a browser what it reports. */
  readonly threads?: number | undefined
  /** Where the WebAssembly backend finds its modules; unset: beside its own code. */
  readonly wasm?: WasmSource | undefined
  /** Backends that are not to be opened, each with the reason as a sentence: 'auto' passes them over. */
  readonly without?: Readonly<Partial<Record<BackendName, string>>> | undefined
  /** What will be allocated, as far as is known: more than 4 GiB need another WebAssembly module. */
  readonly expectedBytes?: number | undefined
}

/** A recorded list of commands, ready to run any number of times. */
export interface Program {
  readonly commandCount: number
  /** What was submitted before still runs. */
  dispose(): void
}

/**
 * What a buffer is for: weights are filled whole and then only read, from start to end; state (caches,
 * activations) may stay empty in large parts; scratch is written before it is read in every list, so that what one
 * leaves there, nobody asks for: a backend may leave out writing it.
 */
export type BufferUse = 'weights' | 'state' | 'scratch'

/** What a device says of the work between two moments. */
export interface DeviceWork {
  /** Parts of programs that it was asked to run one by one. */
  readonly dispatches: number
  /** That they took by its own clock; absent where it has none, or for more than it keeps. */
  readonly seconds?: number
}

/** Why a device no longer answers. */
export interface BackendLoss {
  readonly reason: string
}

/**
 * Errors: a range or a size that there is not, or an index out of its column's limit, is a ShapeError;
 * what is freed, disposed or of another backend is a BackendError. Both come from the call itself. What
 * fails later, while a program runs, rejects the next `read` or `done` and all after it, as a
 * BackendError; nothing runs any more then.
 */
export interface Backend {
  readonly name: BackendName
  /** For people: what really runs, e.g. "native x86-avx512vnni, 2 threads", and `fallbacks`. */
  readonly description: string
  /** Why nothing faster runs: no threads, or other backends that were passed over ("wasm: reason"). */
  readonly fallbacks: readonly string[]
  /** The kernel variant that runs: "typescript", "x86-avx512vnni", "x86-avx2", "portable". */
  readonly isa: string
  readonly threads: number
  /** How floats are rounded. Integers are the same whatever it is. */
  readonly rounding: Rounding
  /** Rows of a pass over a prompt from which more gain nothing. Unset: 128. */
  readonly promptRows?: number
  /**
   * Milliseconds that one command may take at most where nothing else runs on the device meanwhile, the screen
   * included. Unset: as many as it likes.
   */
  readonly longestMs?: number | undefined
  /** Steps of a decoder that are best submitted together, since reading takes its time. Unset: 1. */
  readonly steps?: number

  /** Bytes of the largest operand that commands may have; unset: any number. */
  readonly largestOperand?: number

  /** Memory takes room only where it was written to, so that much of it may be allocated and little used. */
  readonly commitsOnUse: boolean

  /**
   * Memory, zero-filled and aligned for the kernels. `use` unset: 'state'. Where there is no room, this
   * throws a BackendError, or `ready` rejects with it later.
   *
   * @param unit bytes from one place to the next where memory that is too large for a device's bindings may be cut;
   *   unset: nowhere
   */
  allocate(byteLength: number, label: string, use?: BufferUse, unit?: number): DeviceBuffer
  /**
   * Memory for `rows` rows of indices, one int32 for each column: what commands find tokens, slots,
   * positions and rows by. `write` lets nothing in that is not below its column's limit, so that commands
   * need not look. Only commands that keep below the limits themselves (`writtenIndices`) write to it.
   */
  allocateIndices(rows: number, columns: readonly IndexColumn[], label: string): DeviceBuffer
  /** The memory goes when programs that were submitted before have run. */
  free(buffer: DeviceBuffer): void
  /** Bytes allocated and not yet freed. */
  readonly allocatedBytes: number
  /** Settles when all that was allocated so far is there. @throws BackendError naming what is not */
  ready(): Promise<void>

  /** Copies `bytes` into the slice, from its byte on; they may change as soon as this returns. */
  write(slice: BufferSlice, byteOffset: number, bytes: Uint8Array): void
  /** A copy of the bytes as they are after all that was written and submitted before. */
  read(slice: BufferSlice): Promise<Uint8Array>
  /**
   * The slice's memory itself, where the backend lives in this process: not of indices. It may be used
   * between a settled `read` or `done` and the next `submit`, until `free`.
   */
  map?(slice: BufferSlice): Uint8Array

  /** Checks every command (ShapeError) and makes a program of the list. */
  record(commands: readonly Command[]): Promise<Program>
  submit(program: Program): void
  /** Settles when all that was submitted so far has run. */
  done(): Promise<void>

  /** What runs while `work` does; only where programs run on a device of their own. */
  watch?(work: () => Promise<void>): Promise<DeviceWork>

  /** Settles if the device is lost: never on most backends. */
  readonly lost: Promise<BackendLoss>
  /** Takes nothing more and frees everything when what was submitted has run. */
  dispose(): Promise<void>

  /** Only where there are files. */
  readonly files?: BackendFiles | undefined
}

/** A part of a mapped file. */
export interface FileRange {
  readonly label: string
  readonly byteOffset: number
  /** At a multiple of 64. */
  readonly byteLength: number
  /** Bytes at the end of the range of which only few are read, here and there. */
  readonly sparseBytes?: number
}

/** A file in memory. Its bytes may only be read. */
export interface MappedFile {
  readonly bytes: Uint8Array
  /** Over all bytes from the 16th on: 16 hexadecimal digits. Against damage, not against people. */
  readonly checksum: string
  /**
   * A buffer over a part of the file, to be freed like any other. Kernels may read 64 bytes behind it,
   * which must lie in the file too.
   */
  buffer(range: FileRange): DeviceBuffer
  /**
   * Frees the memory of the sparse end of a buffer that was allocated, where the system can: the file has
   * the same bytes in this range, and kernels read them there, from the programs on that are submitted
   * next. The buffer can no longer be written to.
   */
  takeSparseEnd(buffer: DeviceBuffer, range: FileRange): Promise<void>
  /** Gives the mapping up when the last of its buffers is freed, or now if there is none. */
  close(): void
}

/**
 * What a backend can do with files of packed weights, where it has a file system: the native one maps them, and a
 * GPU in Node is given copies of what is mapped.
 *
 * @throws BackendError from both if the file cannot be read or mapped
 */
export interface BackendFiles {
  /**
   * Checks a file of packed weights and maps it: its pages are read when they are used and shared with
   * every process that maps the same file.
   */
  map(path: string): Promise<MappedFile>
  /** The checksum that `map` gives for this file. */
  checksum(path: string): Promise<string>
}
