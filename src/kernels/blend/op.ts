import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { flatWorkgroups } from '../workgroups.ts'
import { blend as reference } from './reference.ts'

/** out (rows, cols) = x + share (out - x), with a share that changes from step to step. */
export interface BlendCommand {
  readonly op: 'blend'
  readonly rows: number
  readonly cols: number
  readonly x: BufferSlice
  readonly out: BufferSlice
  /** One number. */
  readonly share: BufferSlice
}

export const blend = defineOp<BlendCommand>()({
  name: 'blend',
  operands: {
    x: floats((c) => c.rows * c.cols),
    out: floats((c) => c.rows * c.cols, 'update'),
    share: floats(() => 1),
  },
  counts: { cols: MAX_COLS },
  integers: { cols: (c) => c.cols },
  reference: (m, c) => reference(m.out, m.x, m.share[0], c.rows * c.cols),
  agreement: 'exact',
  // GPUs multiply and add at once where they can.
  nearly: { out: { within: () => ({ ofLargest: 2 ** -23 }) } },
  workgroups: ({ rows, cols }) => flatWorkgroups(rows * cols),
})
