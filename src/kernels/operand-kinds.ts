/**
 * What a field of a command can be: one slice of float32, int32 or bytes, or a group of slices with
 * numbers beside them (matrices.ts). A kind says how many bytes there must be, what else is checked, what
 * the reference sees of them, and which numbers the native side is told.
 */
import type { Checker } from './checker.ts'
import type { BufferSlice } from './slice.ts'

/** `update` reads what is there and changes it; `write` does not look at it. */
export type Access = 'read' | 'write' | 'update'

/** A slice's bytes; they begin at a multiple of 4 in their ArrayBuffer. */
export type Memory = (slice: BufferSlice) => Uint8Array

/** Bytes of a float32 or an int32. */
export const WORD = 4

/** One slice of a field. */
export interface Part<C, F> {
  /** Where it is in the field, which may leave it out; '' for a field that is one slice. */
  readonly name: string
  /** What its elements are in C. */
  readonly element: 'float' | 'int32_t' | 'int8_t' | 'uint8_t'
  /** Bytes that the slice must have. */
  byteLength(field: F, command: C): number
}

/** @template View what the reference sees of the field */
export interface OperandKind<C, F, View> {
  /** Of all parts. */
  readonly access: Access | ((command: C) => Access)
  readonly parts: readonly Part<C, F>[]
  readonly integers?: Readonly<Record<string, (field: F) => number>>
  readonly floats?: Readonly<Record<string, (field: F) => number>>
  check?(check: Checker, name: string, field: F): void
  view(field: F, memory: Memory): View
}

type Count<C> = (command: C) => number
type SliceKind<C, View> = OperandKind<C, BufferSlice, View>
/** Of the command that the kind is for, not one that an access function asks less of. */
type AccessOf<C> = Access | ((command: NoInfer<C>) => Access)

function sliceKind<C, View>(
  element: Part<C, BufferSlice>['element'],
  byteLength: Count<C>,
  access: AccessOf<C>,
  view: SliceKind<C, View>['view'],
): SliceKind<C, View> {
  const part = { name: '', element, byteLength: (_: BufferSlice, c: C) => byteLength(c) }
  return { access, parts: [part], view }
}

/** @param count elements that there must be */
export function floats<C>(
  count: Count<C>,
  access: AccessOf<C> = 'read',
): SliceKind<C, Float32Array> {
  return sliceKind('float', (c) => count(c) * WORD, access, floatsOf)
}

/** @param count elements that there must be */
export function words<C>(count: Count<C>, access: AccessOf<C> = 'read'): SliceKind<C, Int32Array> {
  return sliceKind('int32_t', (c) => count(c) * WORD, access, wordsOf)
}

export function bytes<C>(
  byteLength: Count<C>,
  access: AccessOf<C> = 'read',
): SliceKind<C, Uint8Array> {
  return sliceKind('uint8_t', byteLength, access, (slice, memory) => memory(slice))
}

/** A result that is added to what is there, or replaces it. */
export function added<C extends { readonly accumulate?: boolean | undefined }>(c: C): Access {
  return c.accumulate ? 'update' : 'write'
}

export function floatsOf(slice: BufferSlice, memory: Memory): Float32Array {
  const own = memory(slice)
  return new Float32Array(own.buffer, own.byteOffset, own.byteLength >> 2)
}

export function wordsOf(slice: BufferSlice, memory: Memory): Int32Array {
  const own = memory(slice)
  return new Int32Array(own.buffer, own.byteOffset, own.byteLength >> 2)
}
