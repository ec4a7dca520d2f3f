/**
 * What a backend is: memory, and a queue of recorded commands over that memory.
 *
 * Model code allocates buffers, records a list of commands once and submits it for every step. What
 * changes from step to step (tokens, positions, sequences) lies in a buffer too, so that a recording
 * is replayed as it is. A backend is not asked for one operation at a time, and no JavaScript runs
 * between two commands of a list.
 *
 * All float arithmetic is float32, in the order that each operation's reference spells out, and fused
 * only where that changes no bit. CPU backends therefore agree bit for bit; integers agree on every
 * backend.
 */
import type { Command } from '../kernels/ops.ts'
import type { BufferSlice, DeviceBuffer } from '../kernels/slice.ts'

export type BackendName = 'reference' | 'native' | 'wasm'

/** A recorded list of commands, ready to run any number of times. */
export interface Program {
  readonly commandCount: number
  dispose(): void
}

/**
 * What a buffer is for: weights are filled whole and then only read, from start to end; state (caches,
 * activations) may stay empty in large parts.
 */
export type BufferUse = 'weights' | 'state'

/** A file in memory; see {@link Backend.mapFile}. Its bytes may only be read. */
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

export interface FileRange {
  readonly label: string
  readonly byteOffset: number
  /** At a multiple of 64. */
  readonly byteLength: number
  /** Bytes at the end of the range of which only few are read, here and there. */
  readonly sparseBytes?: number
}

export interface Backend {
  readonly name: BackendName
  /** For people: what really runs, e.g. "native x86-avx512vnni, 2 threads". */
  readonly description: string
  /** The kernel variant that runs: "typescript", "x86-avx512vnni", "x86-avx2", "portable". */
  readonly isa: string
  readonly threads: number

  /** Memory, zero-filled and aligned for the kernels. `use` unset: 'state'. */
  allocate(byteLength: number, label: string, use?: BufferUse): DeviceBuffer
  free(buffer: DeviceBuffer): void
  /** Bytes allocated and not yet freed. */
  readonly allocatedBytes: number

  /** Copies `bytes` into the slice, from its byteOffset on. Not while a program that uses it runs. */
  write(slice: BufferSlice, byteOffset: number, bytes: Uint8Array): void
  /** Copies bytes out, after all submitted programs. */
  read(slice: BufferSlice, byteOffset: number, byteLength: number): Promise<Uint8Array>
  /**
   * The slice's memory itself, where the backend lives in this process. Valid until `free`, and
   * readable between a settled `submit` and the next one.
   */
  map?(slice: BufferSlice): Uint8Array
  /**
   * Checks a file of packed weights and maps it, where the backend can: its pages are read when they
   * are used and shared with every process that maps the same file.
   *
   * @throws BackendError if the file cannot be read or mapped
   */
  mapFile?(path: string): Promise<MappedFile>
  /** The checksum that `mapFile` gives for this file. */
  checksumFile?(path: string): Promise<string>

  /** Checks every command's shapes (ShapeError) and makes a program of the list. */
  record(commands: readonly Command[]): Program
  /** Runs a program after those submitted before it; settles when its results can be read. */
  submit(program: Program): Promise<void>

  dispose(): void
}
