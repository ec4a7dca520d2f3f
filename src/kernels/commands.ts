/** What backends ask of commands; the answers are the operations' own. */
import type { AnyCommand, Operand, Operation } from './define-op.ts'
import type { Memory } from './operand-kinds.ts'
import { type Command, type OpName, operations } from './ops.ts'
import type { DeviceBuffer } from './slice.ts'
import type { StepInput } from './step-inputs.ts'

const byName = new Map<string, Operation>(
  operations.map((operation) => [operation.name, operation]),
)

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

/** All inputs of a list of commands; equal checks on the same memory are made once. */
export function collectStepInputs(commands: readonly AnyCommand[]): StepInput[] {
  const inputs = new Map<DeviceBuffer, StepInput[]>()
  for (const command of commands) {
    for (const input of operationOf(command).indices?.(command) ?? []) {
      const known = inputs.get(input.slice.buffer) ?? []
      inputs.set(input.slice.buffer, known)
      if (!known.some((other) => covers(other, input))) known.push(input)
    }
  }
  return [...inputs.values()].flat()
}

/** Whether checking `a` makes checking `b` unnecessary. */
function covers(a: StepInput, b: StepInput): boolean {
  const isSamePlace = a.name === b.name && a.slice.byteOffset === b.slice.byteOffset
  return isSamePlace && a.rows >= b.rows && a.limit <= b.limit
}
