import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { squareSum as reference } from './reference.ts'

/** out (1) = the sum of the squares of x (rows, cols): the square of a gradient's norm. */
export interface SquareSumCommand {
  readonly op: 'square-sum'
  readonly rows: number
  readonly cols: number
  readonly x: BufferSlice
  readonly out: BufferSlice
}

export const squareSum = defineOp<SquareSumCommand>()({
  name: 'square-sum',
  operands: { x: floats((c) => c.rows * c.cols), out: floats(() => 1, 'write') },
  counts: { cols: MAX_COLS },
  integers: { cols: (c) => c.cols },
  // A float64 for each row.
  scratch: (c) => c.rows * 8,
  reference: (m, c) => reference(m.out, m.x, c.rows, c.cols),
  agreement: 'exact',
})
