import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { added, floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { rmsNorm as reference } from './reference.ts'

/** out (rows, cols) = x / sqrt(mean(x^2) + eps) * weight; added to `out` if `accumulate`. */
export interface RmsNormCommand {
  readonly op: 'rms-norm'
  readonly rows: number
  readonly cols: number
  readonly eps: number
  readonly x: BufferSlice
  readonly weight: BufferSlice
  readonly out: BufferSlice
  /** Unset: false. */
  readonly accumulate?: boolean | undefined
}

export const rmsNorm = defineOp<RmsNormCommand>()({
  name: 'rms-norm',
  operands: {
    x: floats((c) => c.rows * c.cols),
    weight: floats((c) => c.cols),
    out: floats((c) => c.rows * c.cols, added),
  },
  inPlace: [['x', 'out']],
  counts: { cols: MAX_COLS },
  check: (check, c) => check.eps('eps', c.eps),
  integers: { cols: (c) => c.cols, accumulate: (c) => Number(c.accumulate ?? false) },
  floats: { eps: (c) => c.eps },
  reference: (m, c) => reference(m.out, m.x, m.weight, c.rows, c.cols, c.eps, c.accumulate),
  agreement: 'exact',
  nearly: { out: { within: () => ({ relative: 2e-6, ofLargest: 1e-6 }) } },
  workgroups: ({ rows }) => [rows, 1],
})
