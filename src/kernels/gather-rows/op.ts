import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { floats, words } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { rowInput } from '../step-inputs.ts'
import { gatherRows as reference } from './reference.ts'

/** out (rows, cols) = x rows named by `index` (rows int32). */
export interface GatherRowsCommand {
  readonly op: 'gather-rows'
  readonly rows: number
  readonly cols: number
  readonly x: BufferSlice
  readonly index: BufferSlice
  readonly out: BufferSlice
}

export const gatherRows = defineOp<GatherRowsCommand>()({
  name: 'gather-rows',
  operands: {
    // At least one row; which ones are read depends on `index`.
    x: floats((c) => c.cols),
    index: words((c) => c.rows),
    out: floats((c) => c.rows * c.cols, 'write'),
  },
  counts: { cols: MAX_COLS },
  integers: { cols: (c) => c.cols },
  indices: ({ cols, x, index }) => [rowInput(x, cols, { slice: index, stride: 1 })],
  reference: (m, c) => reference(m.out, m.x, m.index, c.rows, c.cols),
  agreement: 'exact',
  workgroups: ({ rows, cols }) => [Math.ceil(cols / 64), rows],
})
