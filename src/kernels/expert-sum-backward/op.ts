import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { floats, words } from '../operand-kinds.ts'
import { MAX_TOP } from '../route/reference.ts'
import type { BufferSlice } from '../slice.ts'
import { rowInput } from '../step-inputs.ts'
import { expertSumBackward as reference } from './reference.ts'

/** Gradients of what `expert-sum` adds: of x (rows * top, cols) and of the weights (rows, top). */
export interface ExpertSumBackwardCommand {
  readonly op: 'expert-sum-backward'
  readonly rows: number
  readonly cols: number
  readonly top: number
  readonly x: BufferSlice
  readonly weights: BufferSlice
  /** (rows, top) indices of rows of x, each another one. */
  readonly places: BufferSlice
  /** (rows, cols) */
  readonly dOut: BufferSlice
  readonly dx: BufferSlice
  readonly dWeights: BufferSlice
}

const assigned = ({ rows, top }: ExpertSumBackwardCommand) => rows * top

export const expertSumBackward = defineOp<ExpertSumBackwardCommand>()({
  name: 'expert-sum-backward',
  operands: {
    x: floats((c) => assigned(c) * c.cols),
    weights: floats(assigned),
    places: words(assigned),
    dOut: floats((c) => c.rows * c.cols),
    dx: floats((c) => assigned(c) * c.cols, 'write'),
    dWeights: floats(assigned, 'write'),
  },
  counts: { cols: MAX_COLS, top: MAX_TOP },
  integers: { cols: (c) => c.cols, top: (c) => c.top },
  indices: ({ cols, x, dx, places }) => [
    rowInput(x, cols, { slice: places, stride: 1 }),
    rowInput(dx, cols, { slice: places, stride: 1 }),
  ],
  reference: (m, c) => reference(m, c),
  agreement: 'exact',
  nearly: {
    dWeights: { within: ({ cols }) => ({ ofLargest: 2 ** -22 * Math.sqrt(cols) }) },
  },
  workgroups: (c) => [assigned(c), 1],
})
