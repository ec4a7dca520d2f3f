/** What backends ask of commands; the answers are the operations' own. */
import type { AnyCommand, MaybeOperand, Operand, Operation } from './define-op.ts'
import type { Memory } from './operand-kinds.ts'
import { type Command, type OpName, operations } from './ops.ts'
import type { BufferSlice } from './slice.ts'
import { checkStepInput, checkStepOutput } from './step-inputs.ts'

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

/** A command that a backend may run. */
export interface ValidCommand {
  readonly command: Command
  readonly operation: Operation
  /** One for each of the operation's slices. */
  readonly operands: readonly MaybeOperand[]
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
export function encodeProgram(
  commands: readonly ValidCommand[],
  addresses: Addresses,
): Float64Array {
  const count = commands.reduce((sum, { operation }) => sum + operation.slotCount, 0)
  const slots = new Float64Array(count)
  let at = 0
  for (const { command, operation, operands } of commands) {
    const { scratch, sparse, integers, floats } = operation
    slots[at++] = numbers.get(operation) ?? -1
    for (let i = 0; i < operands.length; i++) {
      const own = operands[i]
      slots[at++] = own === undefined ? 0 : addresses.of(own.slice)
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
export function scratchByteLength({ command, operation }: ValidCommand): number {
  return operation.scratch?.(command) ?? 0
}

/** See {@link Operation.operands}. */
export function operandsOf(command: Command): Operand[] {
  return operationOf(command).operands(command)
}

/** See {@link Operation.validate}. */
export function validateCommand(command: Command): ValidCommand {
  const operation = operationOf(command)
  return { command, operation, operands: operation.validate(command) }
}

/** Runs a command's reference. The command must be valid, and so must what its indices are in memory. */
export function runReference(command: Command, memory: Memory): void {
  operationOf(command).run(command, memory)
}

/**
 * Checks where a command takes indices from and where it writes some; see {@link checkStepInput} and
 * {@link checkStepOutput}.
 *
 * @throws ShapeError
 */
export function checkIndexInputs({ command, operation }: ValidCommand): void {
  for (const input of operation.indices?.(command) ?? []) checkStepInput(command.op, input)
  for (const output of operation.writtenIndices?.(command) ?? [])
    checkStepOutput(command.op, output)
}
