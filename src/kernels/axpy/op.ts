import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { added, floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { flatWorkgroups } from '../workgroups.ts'
import { axpy as reference } from './reference.ts'

/** out (rows, cols) = scale * x, added to `out` if `accumulate`. */
export interface AxpyCommand {
  readonly op: 'axpy'
  readonly rows: number
  readonly cols: number
  readonly scale: number
  readonly x: BufferSlice
  readonly out: BufferSlice
  readonly accumulate?: boolean | undefined
}

export const axpy = defineOp<AxpyCommand>()({
  name: 'axpy',
  operands: {
    x: floats((c) => c.rows * c.cols),
    out: floats((c) => c.rows * c.cols, added),
  },
  inPlace: [['x', 'out']],
  counts: { cols: MAX_COLS },
  integers: { cols: (c) => c.cols, accumulate: (c) => Number(c.accumulate ?? false) },
  floats: { scale: (c) => c.scale },
  reference: (m, c) => reference(m.out, m.x, c),
  agreement: 'exact',
  // GPUs multiply and add at once where they can.
  nearly: { out: { within: () => ({ ofLargest: 2 ** -23 }) } },
  workgroups: ({ rows, cols }) => flatWorkgroups(rows * cols),
})
