/**
 * The check of what changes from step to step: token ids, slots, positions and row indices. They pick
 * addresses, so a backend checks them before each run of a program, once a buffer and not once a
 * command; `collectStepInputs` (commands.ts) finds the bounds when
 * the program is recorded.
 */
import { ShapeError } from '../errors.ts'
import { WORD } from './operand-kinds.ts'
import type { BufferSlice } from './slice.ts'

/** One column of int32 rows, and what its values must be below. */
export interface StepInput {
  readonly slice: BufferSlice
  /** What the values are, for the message: "token", "slot", "position". */
  readonly name: string
  readonly rows: number
  /** Words from one row to the next, and of the value in its row. */
  readonly stride: number
  readonly offset: number
  /** Values are in [0, limit). */
  readonly limit: number
}

/** Indices of rows (cols floats) of `x`, first in their own rows of words. */
export function rowInput(
  x: BufferSlice,
  cols: number,
  index: Pick<StepInput, 'slice' | 'rows' | 'stride'>,
): StepInput {
  const limit = Math.floor(x.byteLength / (cols * WORD))
  return { ...index, name: 'row index', offset: 0, limit }
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
