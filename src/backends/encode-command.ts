/**
 * Commands as the C side reads them: float64 slots, which hold an operation's number, addresses, integers
 * and floats alike without loss, as many as the operation has (kernels/c-header.ts has the structs).
 */
import { operationIndex, operationOf } from '../kernels/commands.ts'
import type { AnyCommand, Operation } from '../kernels/define-op.ts'
import type { BufferSlice } from '../kernels/slice.ts'

/** Where the C side finds what commands refer to. */
export interface Addresses {
  /** Must refuse slices that are not of the backend. */
  of(slice: BufferSlice): number
  /** Of what the sparse end of a slice is read from, 0 where it is in memory. */
  sparseSource(slice: BufferSlice): number
  /** Of {@link scratchByteLength} bytes for the command that needs most; 0 if none needs any. */
  readonly scratch: number
}

/** Scratch memory a command needs while it runs, in bytes; 0 for none. */
export function scratchByteLength(command: AnyCommand): number {
  return operationOf(command).scratch?.(command) ?? 0
}

/** The slots of a whole list. */
export function encodeProgram(commands: readonly AnyCommand[], addresses: Addresses): Float64Array {
  const operations = commands.map(operationOf)
  const slots = new Float64Array(operations.reduce((sum, own) => sum + slotCount(own), 0))
  let at = 0
  for (const [n, command] of commands.entries()) {
    const operation = operations[n]
    slots[at++] = operationIndex(operation)
    for (const { slice } of operation.slices) {
      const own = slice(command)
      slots[at++] = own === undefined ? 0 : addresses.of(own)
    }
    if (operation.scratch !== undefined) slots[at++] = addresses.scratch
    if (operation.sparse !== undefined) {
      const sparse = operation.sparse(command)
      slots[at++] = sparse === undefined ? 0 : addresses.sparseSource(sparse)
    }
    for (const { value } of operation.integers) slots[at++] = value(command)
    for (const { value } of operation.floats) slots[at++] = value(command)
  }
  return slots
}

function slotCount({ slices, scratch, sparse, integers, floats }: Operation): number {
  const pointers = slices.length + Number(scratch !== undefined) + Number(sparse !== undefined)
  return 1 + pointers + integers.length + floats.length
}
