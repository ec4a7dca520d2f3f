/**
 * How a case is run on a backend: what the conformance suite and the
 * replay on other processors share.
 */

import type { Backend } from '../../src/backends/backend.ts'
import { operationOf, scratchByteLength, validateCommand } from '../../src/kernels/commands.ts'
import type { AnyCommand, Operation } from '../../src/kernels/define-op.ts'
import type { IndexColumn } from '../../src/kernels/index-buffer.ts'
import { type Command, operations } from '../../src/kernels/ops.ts'
import {
  type BufferSlice,
  type DeviceBuffer,
  SLICE_ALIGNMENT,
  sliceOf,
  WholeBuffer,
} from '../../src/kernels/slice.ts'
import type { CaseArray, CaseData } from '../../src/kernels/testing/conformance-cases.ts'

/** Bytes after the end of every buffer that nothing may write to. */
const GUARD_BYTES = 64
export const GUARD = 0xa5

/**
 * A case's command on buffers without memory.
 *
 * @param behind bytes behind the end of each
 */
export function commandOf(
  { contents, command }: CaseData<AnyCommand>,
  behind: (name: string) => number = () => 0,
): AnyCommand {
  const stubs = Object.entries(contents).map(([name, { byteLength }]) => {
    return [name, new WholeBuffer(name, byteLength + behind(name))] as const
  })
  return command(Object.fromEntries(stubs))
}

/** Whether the backend refuses a case: only shaders do not run every command. */
export function isRefused(backend: Backend, data: CaseData<AnyCommand>): boolean {
  if (backend.name !== 'webgpu') return false
  const command = commandOf(data)
  return operationOf(command).workgroups?.(command) === undefined
}

/** Whether all results of an operation are the reference's bytes on every processor. */
export function isExact(op: string): boolean {
  const operation = (operations as readonly Operation[]).find(({ name }) => name === op)
  return (
    operation?.slices.every((s) => operation.agreement(s.name.split('.')[0]) === 'exact') === true
  )
}

/** The bytes of an array and its guard. */
export function withGuard(array: CaseArray): Uint8Array {
  const bytes = new Uint8Array(array.byteLength + GUARD_BYTES).fill(GUARD)
  bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
  return bytes
}

/** Buffers by name, guards included. */
export type Results = ReadonlyMap<string, Uint8Array>

/** Memory for each of some arrays and its guard. */
type Placement = (backend: Backend, arrays: CaseData['contents']) => Record<string, BufferSlice>

/** Each in a buffer of its own. */
function apart(backend: Backend, arrays: CaseData['contents']): Record<string, BufferSlice> {
  const places: Record<string, BufferSlice> = {}
  for (const [name, array] of Object.entries(arrays)) {
    places[name] = backend.allocate(array.byteLength + GUARD_BYTES, name)
  }
  return places
}

/** All in one buffer, none at its start. */
export function inArena(
  backend: Backend,
  arrays: CaseData['contents'],
): Record<string, BufferSlice> {
  const lengths = Object.values(arrays).map(({ byteLength }) => byteLength + GUARD_BYTES)
  const padded = (length: number) => Math.ceil(length / SLICE_ALIGNMENT) * SLICE_ALIGNMENT
  const total = lengths.reduce((sum, length) => sum + padded(length), SLICE_ALIGNMENT)
  const arena = backend.allocate(total, 'arena')
  const places: Record<string, BufferSlice> = {}
  let at = SLICE_ALIGNMENT
  for (const [i, name] of Object.keys(arrays).entries()) {
    places[name] = sliceOf(arena, at, lengths[i], name)
    at += padded(lengths[i])
  }
  return places
}

/** The columns of operands that hold indices, with the limits that the command itself has. */
function columnsOf(data: CaseData<AnyCommand>): ReadonlyMap<string, IndexColumn[]> {
  // Limits may follow from the length of a buffer of indices, which has no guard.
  const some = columnsWith(data, () => GUARD_BYTES)
  return columnsWith(data, (name) => (some.has(name) ? 0 : GUARD_BYTES))
}

/** @param guard bytes of the guard behind a buffer */
function columnsWith(
  data: CaseData<AnyCommand>,
  guard: (name: string) => number,
): Map<string, IndexColumn[]> {
  const command = commandOf(data, guard)
  const columns = new Map<string, IndexColumn[]>()
  const { indices, writtenIndices } = operationOf(command)
  for (const input of [...(indices?.(command) ?? []), ...(writtenIndices?.(command) ?? [])]) {
    const { slice, name, stride, offset, limit } = input
    const own = columns.get(slice.label) ?? Array(stride).fill({ name: 'any', limit: 2 ** 31 })
    own[offset] = { name, limit }
    columns.set(slice.label, own)
  }
  return columns
}

/** Records one command with a guard behind each scratch buffer that the backend takes for it. */
async function recordGuarded(backend: Backend, command: Command) {
  const scratch: DeviceBuffer[] = []
  const allocate = backend.allocate.bind(backend)
  backend.allocate = (byteLength, label, use) => {
    if (label !== 'scratch') return allocate(byteLength, label, use)
    const buffer = allocate(byteLength + GUARD_BYTES, label, use)
    backend.write(buffer, byteLength, new Uint8Array(GUARD_BYTES).fill(GUARD))
    scratch.push(buffer)
    return buffer
  }
  try {
    return { program: await backend.record([command]), scratch }
  } finally {
    backend.allocate = allocate
  }
}

/** @throws Error if a guard was written to, or if there is none where an operation needs scratch memory */
async function checkScratch(
  backend: Backend,
  command: Command,
  scratch: readonly DeviceBuffer[],
): Promise<void> {
  // Backends in C have scratch memory; shaders and the reference have none.
  const needed = !['native', 'wasm'].includes(backend.name)
    ? 0
    : Math.sign(scratchByteLength(validateCommand(command)))
  if (scratch.length !== needed) throw new Error(`Scratch buffers: ${scratch.length} of ${needed}.`)
  for (const buffer of scratch) {
    const at = buffer.byteLength - GUARD_BYTES
    const guard = await backend.read(sliceOf(buffer, at, GUARD_BYTES))
    if (!guard.every((byte) => byte === GUARD)) {
      throw new Error('Memory behind the scratch buffer was written to.')
    }
  }
}

/** The bytes of all operands, guards included, after the command has run once. */
export async function runCase(
  backend: Backend,
  data: CaseData<AnyCommand>,
  place: Placement = apart,
): Promise<Results> {
  const columns = columnsOf(data)
  const contents = Object.entries(data.contents)
  const plain = Object.fromEntries(contents.filter(([name]) => !columns.has(name)))
  const slices = place(backend, plain)
  for (const [name, array] of Object.entries(plain)) {
    backend.write(slices[name], 0, withGuard(array))
  }
  for (const [name, own] of columns) {
    const array = data.contents[name]
    slices[name] = backend.allocateIndices(array.length / own.length, own, name)
    backend.write(slices[name], 0, new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
  }
  const command = data.command(slices) as Command
  const free = () => {
    const buffers = new Set(Object.values(slices).map(({ buffer }) => buffer))
    for (const buffer of buffers) backend.free(buffer)
  }
  const { program, scratch } = await recordGuarded(backend, command).catch((error) => {
    free()
    throw error
  })
  try {
    backend.submit(program)
    await checkScratch(backend, command, scratch)
    const results = new Map<string, Uint8Array>()
    for (const [name] of contents) {
      const bytes = await backend.read(slices[name])
      // Indices have no guard, as nothing lets a command write to them.
      results.set(name, columns.has(name) ? withGuard(bytes) : bytes)
    }
    return results
  } finally {
    program.dispose()
    free()
  }
}
