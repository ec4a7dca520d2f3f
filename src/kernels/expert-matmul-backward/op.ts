import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { PANEL_COLS, PANEL_ROWS, padded } from '../matmul/op.ts'
import { floats, WORD, words } from '../operand-kinds.ts'
import { MAX_EXPERTS } from '../route/reference.ts'
import type { BufferSlice } from '../slice.ts'
import { indexInput } from '../step-inputs.ts'
import { expertMatmulBackward as reference } from './reference.ts'

/**
 * Gradients of experts' products: of the rows, and added to those of the weights (experts * count, cols). Rows are
 * sorted by expert; see expert-matmul-backward/reference.ts.
 */
export interface ExpertMatmulBackwardCommand {
  readonly op: 'expert-matmul-backward'
  readonly rows: number
  readonly cols: number
  /** Rows of an expert's matrix. */
  readonly count: number
  readonly experts: number
  readonly x: BufferSlice
  readonly weights: BufferSlice
  /** (rows) indices: the expert of each. */
  readonly chosen: BufferSlice
  /** (rows, count) */
  readonly dOut: BufferSlice
  readonly dx: BufferSlice
  readonly dWeights: BufferSlice
}

const inputs = ({ rows, cols }: ExpertMatmulBackwardCommand) => rows * cols
const all = ({ experts, count, cols }: ExpertMatmulBackwardCommand) => experts * count * cols

/** Tiles of 64 that a workgroup has one of. */
const tiles = (count: number) => Math.ceil(count / 64)

/** The errors of a sum's roundings walk: with the root of their number. */
function within(count: number) {
  return { ofLargest: 2 ** -22 * Math.sqrt(count) }
}

export const expertMatmulBackward = defineOp<ExpertMatmulBackwardCommand>()({
  name: 'expert-matmul-backward',
  operands: {
    x: floats(inputs),
    weights: floats(all),
    chosen: words((c) => c.rows),
    dOut: floats((c) => c.rows * c.count),
    dx: floats(inputs, 'write'),
    dWeights: floats(all, 'update'),
  },
  counts: { cols: MAX_COLS, count: MAX_COLS, experts: MAX_EXPERTS },
  integers: { cols: (c) => c.cols, count: (c) => c.count, experts: (c) => c.experts },
  indices: (c) => [indexInput(c.chosen, 'expert', c.experts)],
  // Panels of the weights, of x and of dOut, padded as those of matmul are.
  scratch: ({ rows, cols, count, experts }) =>
    (padded(cols, PANEL_COLS) * (experts * count + rows) + padded(count, PANEL_ROWS) * rows) * WORD,
  reference: (m, c) => reference(m, c),
  // Processors multiply and add at once where they can.
  agreement: {
    dx: { within: ({ count }) => within(count) },
    dWeights: { within: ({ rows }) => within(rows) },
  },
  workgroups: ({ rows, cols }) => [tiles(cols), tiles(rows)],
  finish: ({ cols, count, experts }) => ({
    workgroups: [tiles(cols), tiles(count) * experts],
    betweenBytes: WORD,
  }),
})
