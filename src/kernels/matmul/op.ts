import { MAX_COLS, MAX_COUNT } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { added, floats, WORD } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { MATMUL_BLOCK, matmul as reference } from './reference.ts'

/**
 * Training's product of row-major float32 matrices: out (rows, cols) = A B, added to `out` if `accumulate`.
 */
export interface MatmulCommand {
  readonly op: 'matmul'
  readonly rows: number
  readonly cols: number
  /** What is summed over. */
  readonly inner: number
  /** (rows, inner), or (inner, rows) if `transposeA`. */
  readonly a: BufferSlice
  /** (inner, cols), or (cols, inner) if `transposeB`. */
  readonly b: BufferSlice
  readonly out: BufferSlice
  readonly transposeA?: boolean | undefined
  readonly transposeB?: boolean | undefined
  readonly accumulate?: boolean | undefined
}

/** Panels of a packed operand are padded to whole tiles of every variant: of 12, 6 or 2 rows, 32 or 16 columns. */
const PANEL_ROWS = 12
const PANEL_COLS = 32

function padded(count: number, unit: number): number {
  return Math.ceil(count / unit) * unit
}

export const matmul = defineOp<MatmulCommand>()({
  name: 'matmul',
  operands: {
    a: floats((c) => c.rows * c.inner),
    b: floats((c) => c.inner * c.cols),
    out: floats((c) => c.rows * c.cols, added),
  },
  counts: { cols: MAX_COLS, inner: MAX_COUNT },
  integers: {
    cols: (c) => c.cols,
    inner: (c) => c.inner,
    transposeA: (c) => Number(c.transposeA ?? false),
    transposeB: (c) => Number(c.transposeB ?? false),
    accumulate: (c) => Number(c.accumulate ?? false),
  },
  scratch: ({ rows, cols, inner, transposeA }) =>
    (padded(cols, PANEL_COLS) + (transposeA ? padded(rows, PANEL_ROWS) : 0)) * inner * WORD,
  reference: (m, c) => reference(m.out, m.a, m.b, c),
  // Processors multiply and add at once where they can. The errors of a sum's roundings walk: with the root
  // of their number.
  agreement: { out: { within: ({ inner }) => ({ ofLargest: 2 ** -23 * Math.sqrt(inner) }) } },
  constants: { MATMUL_BLOCK },
  workgroups: ({ rows, cols }) => [Math.ceil(cols / 64), Math.ceil(rows / 64)],
})
