/** What backends ask of commands; the answers are the operations' own. */
import type { AnyCommand, Operand, Operation } from './define-op.ts'
import type { Memory } from './operand-kinds.ts'
import { type Command, type OpName, operations } from './ops.ts'
import { checkStepInput } from './step-inputs.ts'

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

const places = new Map<Operation, number>([...byName.values()].map((own, place) => [own, place]))

/** The operation's number on the native side. */
export function operationIndex(operation: Operation): number {
  return places.get(operation) ?? -1
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
