/**
 * What a backend can do with files of packed weights, where it has a file system and this process's
 * memory: only the native one does.
 */
import type { DeviceBuffer } from '../kernels/slice.ts'

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

/** @throws BackendError from both if the file cannot be read or mapped */
export interface BackendFiles {
  /**
   * Checks a file of packed weights and maps it: its pages are read when they are used and shared with
   * every process that maps the same file.
   */
  map(path: string): Promise<MappedFile>
  /** The checksum that `map` gives for this file. */
  checksum(path: string): Promise<string>
}
