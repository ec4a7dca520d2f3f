/**
 * The check of what changes from step to step: token ids, slots, positions and row indices. They pick
 * addresses, so a backend checks them before each run of a program, once a buffer and not once a
 * command; `collectStepInputs` finds the bounds when the program is recorded.
 */
import { ShapeError } from '../errors.ts'
import { type Command, STEP_WORDS } from './commands.ts'
import type { BufferSlice, DeviceBuffer } from './slice.ts'
import { PAIR_WORDS } from './token-scores/reference.ts'

/** One column of a buffer of int32 rows, and what its values must be below. */
export interface StepInput {
  readonly slice: BufferSlice
  /** What the values are, for the message. */
  readonly name: 'token' | 'slot' | 'position' | 'row index' | 'scored token'
  readonly rows: number
  /** Words from one row to the next, and of the value in its row. */
  readonly stride: number
  readonly offset: number
  /** Values are in [0, limit). */
  readonly limit: number
}

/** All inputs of a list of commands; equal checks on the same buffer are made once. */
export function collectStepInputs(commands: readonly Command[]): StepInput[] {
  const inputs = new Map<DeviceBuffer, StepInput[]>()
  for (const command of commands) {
    for (const input of inputsOf(command)) {
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

function inputsOf(command: Command): StepInput[] {
  const { rows } = command
  switch (command.op) {
    case 'embed':
      return [stepInput('token', rows, command.step, command.table.rows)]
    case 'gather-rows': {
      const limit = Math.floor(command.x.byteLength / (command.cols * 4))
      return [{ slice: command.index, name: 'row index', rows, stride: 1, offset: 0, limit }]
    }
    case 'token-scores': {
      const limit = Math.floor(command.logits.byteLength / (command.cols * 4))
      const pair = { slice: command.pairs, rows, stride: PAIR_WORDS }
      return [
        { ...pair, name: 'row index', offset: 0, limit },
        { ...pair, name: 'scored token', offset: 1, limit: command.cols },
      ]
    }
    case 'rope-cache': {
      const { slots, capacity, headDim } = command.cache
      const rotated = Math.floor(command.rotations.byteLength / (headDim * 4))
      return [
        stepInput('slot', rows, command.step, slots),
        stepInput('position', rows, command.step, Math.min(capacity, rotated)),
      ]
    }
    case 'attention':
      return [
        stepInput('slot', rows, command.step, command.cache.slots),
        stepInput('position', rows, command.step, command.cache.capacity),
      ]
    default:
      return []
  }
}

function stepInput(
  name: 'token' | 'slot' | 'position',
  rows: number,
  slice: BufferSlice,
  limit: number,
): StepInput {
  const offset = { token: 0, slot: 1, position: 2 }[name]
  return { slice, name, rows, stride: STEP_WORDS, offset, limit }
}

/**
 * @param words a slice's memory as int32
 * @throws ShapeError if a value is out of its range
 */
export function checkStepInputs(
  inputs: readonly StepInput[],
  words: (slice: BufferSlice) => Int32Array,
): void {
  for (const { slice, name, rows, stride, offset, limit } of inputs) {
    const memory = words(slice)
    for (let row = 0; row < rows; row++) {
      const value = memory[row * stride + offset]
      if (value < 0 || value >= limit) {
        throw new ShapeError(
          `Expected the ${name} of row ${row} in buffer "${slice.label}" to be from 0 to ` +
            `${limit - 1}, got ${value}.`,
        )
      }
    }
  }
}
