/** What backends ask of commands; the answers are the operations' own. */
import type { AnyCommand, Operand, Operation } from './define-op.ts'
import type { Memory } from './operand-kinds.ts'
import { type Command, type OpName, operations } from './ops.ts'
import type { BufferSlice } from './slice.ts'
import { checkStepInput } from './step-inputs.ts'

const byName = new Map<string, Operation>(
  operations.map((operation) => [operation.name, operation]),
)
/** Each one's number on the native side. */
const numbers = new Map<Operation, number>([...byName.values()].map((own, place) => [own, place]))

/** The names of all operations that results depend on: not of those that only measure a machine. */
export const operationNames: readonly OpName[] = operations
  .filter(({ hasReference }) => hasReference)
  .map(({ name }) => name)

/** @throws TypeError for a command of no known operation, which the types rule out */
export function operationOf(command: AnyCommand): Operation {
  const operation = byName.get(command.op)
  if (operation === undefined) throw new TypeError(`There is no operation "${command.op}".`)
  return operation
}

/** Where the native side finds what commands refer to. */
export interface Addresses {
  /** Must refuse slices that are not of the backend. */
  of(slice: BufferSlice): number
  /** Of what the sparse end of a slice is read from, 0 where it is in memory. */
  sparseSource(slice: BufferSlice): number
  /** Of {@link scratchByteLength} bytes for the command that needs most; 0 if none needs any. */
  readonly scratch: number
}

/**
 * Commands as the native side reads them: float64 slots, which hold an operation's number, addresses,
 * integers and floats alike without loss, as many as the operation has (c-header.ts has the structs).
 */
export function encodeProgram(commands: readonly AnyCommand[], addresses: Addresses): Float64Array {
  const all = commands.map(operationOf)
  const slots = new Float64Array(all.reduce((sum, { slotCount }) => sum + slotCount, 0))
  let at = 0
  for (let n = 0; n < all.length; n++) {
    const [command, { slices, scratch, sparse, integers, floats }] = [commands[n], all[n]]
    slots[at++] = numbers.get(all[n]) ?? -1
    for (let i = 0; i < slices.length; i++) {
      const own = slices[i].slice(command)
      slots[at++] = own === undefined ? 0 : addresses.of(own)
    }
    if (scratch !== undefined) slots[at++] = addresses.scratch
    if (sparse !== undefined) {
      const own = sparse(command)
      slots[at++] = own === undefined ? 0 : addresses.sparseSource(own)
    }
    for (let i = 0; i < integers.length; i++) slots[at++] = integers[i].value(command)
    for (let i = 0; i < floats.length; i++) slots[at++] = floats[i].value(command)
  }
  return slots
}

/** Scratch memory that a command needs while it runs on the native side, in bytes; 0 for none. */
export function scratchByteLength(command: AnyCommand): number {
  return operationOf(command).scratch?.(command) ?? 0
}

/** See {@link Operation.operands}. */
export function operandsOf(command: Command): Operand[] {
  return operationOf(command).operands(command)
}

/** See {@link Operation.validate}. */
export function validateCommand(command: Command): void {
  operationOf(command).validate(command)
}

/** Runs a command's reference. The command must be valid, and so must what its indices are in memory. */
export function runReference(command: Command, memory: Memory): void {
  operationOf(command).run(command, memory)
}

/**
 * Checks where a command takes indices from; see {@link checkStepInput}.
 *
 * @throws ShapeError
 */
export function checkIndexInputs(command: AnyCommand): void {
  const inputs = operationOf(command).indices?.(command) ?? []
  for (const input of inputs) checkStepInput(command.op, input)
}
