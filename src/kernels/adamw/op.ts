import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { flatWorkgroups } from '../workgroups.ts'
import { ADAMW_NUMBERS, adamw as reference } from './reference.ts'

/** A step of AdamW on parameters (rows, cols), with their gradients and moments. */
export interface AdamwCommand {
  readonly op: 'adamw'
  readonly rows: number
  readonly cols: number
  readonly parameters: BufferSlice
  readonly gradients: BufferSlice
  readonly means: BufferSlice
  readonly squares: BufferSlice
  /** What changes with every step; see ADAMW_NUMBERS. */
  readonly numbers: BufferSlice
  /** (1): the square of the norm of all gradients, also of those that other commands are for. */
  readonly squareSum: BufferSlice
}

const all = ({ rows, cols }: AdamwCommand) => rows * cols

export const adamw = defineOp<AdamwCommand>()({
  name: 'adamw',
  operands: {
    parameters: floats(all, 'update'),
    gradients: floats(all),
    means: floats(all, 'update'),
    squares: floats(all, 'update'),
    numbers: floats(() => ADAMW_NUMBERS.length),
    squareSum: floats(() => 1),
  },
  counts: { cols: MAX_COLS },
  integers: { cols: (c) => c.cols },
  reference: (m, c) => reference(m, c.rows * c.cols),
  agreement: 'exact',
  // GPUs multiply and add at once, and are some places off in roots and quotients.
  nearly: {
    parameters: { within: () => ({ ofLargest: 2 ** -22 }) },
    means: { within: () => ({ ofLargest: 2 ** -22 }) },
    squares: { within: () => ({ ofLargest: 2 ** -22 }) },
  },
  workgroups: ({ rows, cols }) => flatWorkgroups(rows * cols),
})
