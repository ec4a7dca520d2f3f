import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { floats, words } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { rowInput } from '../step-inputs.ts'
import { scatterAdd as reference } from './reference.ts'

/** Adds each row of x (rows, cols) to the row of `out` that `index` names: an embedding's gradient. */
export interface ScatterAddCommand {
  readonly op: 'scatter-add'
  readonly rows: number
  readonly cols: number
  readonly x: BufferSlice
  readonly index: BufferSlice
  readonly out: BufferSlice
}

export const scatterAdd = defineOp<ScatterAddCommand>()({
  name: 'scatter-add',
  operands: {
    x: floats((c) => c.rows * c.cols),
    index: words((c) => c.rows),
    // At least one row; which ones are changed depends on `index`.
    out: floats((c) => c.cols, 'update'),
  },
  counts: { cols: MAX_COLS },
  integers: { cols: (c) => c.cols },
  indices: ({ cols, out, index }) => [rowInput(out, cols, { slice: index, stride: 1 })],
  reference: (m, c) => reference(m.out, m.x, m.index, c.rows, c.cols),
  agreement: 'exact',
  workgroups: ({ rows }) => [rows, 1],
})
