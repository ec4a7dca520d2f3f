import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { floats, words } from '../operand-kinds.ts'
import { MAX_TOP } from '../route/reference.ts'
import type { BufferSlice } from '../slice.ts'
import { rowInput } from '../step-inputs.ts'
import { expertSum as reference } from './reference.ts'

/** Adds to each row of out (rows, cols) its `top` rows of x, each times its weight; see expert-sum/reference.ts. */
export interface ExpertSumCommand {
  readonly op: 'expert-sum'
  readonly rows: number
  readonly cols: number
  readonly top: number
  readonly x: BufferSlice
  /** (rows, top) floats. */
  readonly weights: BufferSlice
  /** (rows, top) indices of rows of x. */
  readonly places: BufferSlice
  readonly out: BufferSlice
}

export const expertSum = defineOp<ExpertSumCommand>()({
  name: 'expert-sum',
  operands: {
    x: floats((c) => c.rows * c.top * c.cols),
    weights: floats((c) => c.rows * c.top),
    places: words((c) => c.rows * c.top),
    out: floats((c) => c.rows * c.cols, 'update'),
  },
  counts: { cols: MAX_COLS, top: MAX_TOP },
  integers: { cols: (c) => c.cols, top: (c) => c.top },
  indices: ({ cols, x, places }) => [rowInput(x, cols, { slice: places, stride: 1 })],
  reference: (m, c) => reference(m, c),
  agreement: 'exact',
  // A product and an addition may be one operation.
  nearly: { out: { within: ({ top }) => ({ ofLargest: 2e-7 * (top + 1) }) } },
  workgroups: ({ rows, cols }) => [Math.ceil(cols / 64), rows],
})
