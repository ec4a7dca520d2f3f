import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { floats, WORD } from '../operand-kinds.ts'
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

/** Elements of a part, at least, and of parts at most, in the shaders. */
const PART = 4096
const MOST_PARTS = 1024

/** Workgroups of the shader, each with sums of a part. */
function partsOf({ rows, cols }: SquareSumCommand): number {
  return Math.min(MOST_PARTS, Math.ceil((rows * cols) / PART))
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
  // GPUs add up in float32.
  nearly: { out: { within: () => ({ relative: 2 ** -20 }) } },
  workgroups: (c) => [partsOf(c), 1],
  finish: (c) => ({ workgroups: [1, 1], betweenBytes: partsOf(c) * WORD }),
})
