import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { added, floats, WORD } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { rmsNormBackward as reference } from './reference.ts'

/**
 * The gradients of an RMSNorm: that of x replaces what is in `dx`, or is added to it if `accumulate`; that of
 * the weight is always added to `dWeight`.
 */
export interface RmsNormBackwardCommand {
  readonly op: 'rms-norm-backward'
  readonly rows: number
  readonly cols: number
  readonly eps: number
  readonly x: BufferSlice
  readonly weight: BufferSlice
  /** Of the norm's result, (rows, cols). */
  readonly dOut: BufferSlice
  readonly dx: BufferSlice
  readonly dWeight: BufferSlice
  readonly accumulate?: boolean | undefined
}

/** Rows whose part of dWeight a workgroup of the shader adds up. */
const PART_ROWS = 16

const all = ({ rows, cols }: RmsNormBackwardCommand) => rows * cols

export const rmsNormBackward = defineOp<RmsNormBackwardCommand>()({
  name: 'rms-norm-backward',
  operands: {
    x: floats(all),
    weight: floats((c) => c.cols),
    dOut: floats(all),
    dx: floats(all, added),
    dWeight: floats((c) => c.cols, 'update'),
  },
  counts: { cols: MAX_COLS },
  check: (check, c) => check.eps('eps', c.eps),
  integers: { cols: (c) => c.cols, accumulate: (c) => Number(c.accumulate ?? false) },
  floats: { eps: (c) => c.eps },
  scratch: (c) => c.rows * WORD,
  reference: (m, c) => reference(m, c),
  agreement: 'exact',
  // GPUs add up in float32, of all rows and of columns.
  nearly: {
    dx: { within: () => ({ ofLargest: 2 ** -18 }) },
    dWeight: { within: () => ({ ofLargest: 2 ** -18 }) },
  },
  workgroups: ({ rows }) => [Math.ceil(rows / PART_ROWS), 1],
  finish: ({ rows, cols }) => ({
    workgroups: [Math.ceil(cols / 16), 1],
    betweenBytes: Math.ceil(rows / PART_ROWS) * cols * WORD,
  }),
})
