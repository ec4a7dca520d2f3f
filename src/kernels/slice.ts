/**
 * What operands are: parts of a backend's memory. One allocation may hold many operands (an arena), and
 * one matrix may lie in a part of a mapped file.
 */
import { ShapeError } from '../errors.ts'
import type { IndexColumn } from './index-buffer.ts'

/** Operands begin at a multiple of this in their buffer: a kernel's vectors and cache lines do not split. */
export const SLICE_ALIGNMENT = 64

/** Room for sparse_source of kernels/c/kernel.h: where the sparse end of a buffer is read from. */
export const SPARSE_SOURCE_BYTES = 64

/** Bytes [byteOffset, byteOffset + byteLength) of a buffer. */
export interface BufferSlice {
  readonly label: string
  readonly buffer: DeviceBuffer
  readonly byteOffset: number
  readonly byteLength: number
}

/** Memory of a backend, and the slice that is all of it. Only the backend that made it can use it. */
export interface DeviceBuffer extends BufferSlice {
  /** Itself. */
  readonly buffer: DeviceBuffer
  readonly byteOffset: 0
  /** Of a buffer of indices (index-buffer.ts). */
  readonly columns?: readonly IndexColumn[] | undefined
  /** Whether nobody asks for what a list of commands leaves in it. */
  readonly isScratch?: boolean
}

/** What a backend's buffers begin with. */
export class WholeBuffer implements DeviceBuffer {
  readonly label: string
  readonly byteLength: number
  readonly byteOffset = 0

  constructor(label: string, byteLength: number) {
    this.label = label
    this.byteLength = byteLength
  }

  get buffer(): this {
    return this
  }
}

/**
 * A part of a buffer, or of a slice of one.
 *
 * @param label unset: that of the whole
 * @throws ShapeError if it does not lie within the whole
 */
export function sliceOf(
  whole: BufferSlice,
  byteOffset: number,
  byteLength: number,
  label: string = whole.label,
): BufferSlice {
  const end = byteOffset + byteLength
  const isWithin = byteOffset >= 0 && byteLength >= 0 && end <= whole.byteLength
  if (!isWithin || !Number.isInteger(byteOffset) || !Number.isInteger(byteLength)) {
    throw new ShapeError(
      `Expected "${label}" to lie within the ${whole.byteLength} bytes of buffer ` +
        `"${whole.label}", got bytes ${byteOffset} to ${end}.`,
    )
  }
  return { label, buffer: whole.buffer, byteOffset: whole.byteOffset + byteOffset, byteLength }
}

/** A slice's bytes, of all its buffer's. */
export function sliceBytes(whole: Uint8Array, { byteOffset, byteLength }: BufferSlice): Uint8Array {
  return whole.subarray(byteOffset, byteOffset + byteLength)
}

/** Whether two slices share a byte. */
export function overlaps(a: BufferSlice, b: BufferSlice): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteOffset < b.byteOffset + b.byteLength &&
    b.byteOffset < a.byteOffset + a.byteLength
  )
}

/** Whether two slices are the same bytes. */
export function sameRange(a: BufferSlice, b: BufferSlice): boolean {
  return a.buffer === b.buffer && a.byteOffset === b.byteOffset && a.byteLength === b.byteLength
}
