import { MAX_COLS, MAX_COUNT } from '../checker.ts'
import { defineOp, type Workgroups } from '../define-op.ts'
import { added, floats, WORD } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { flatWorkgroups } from '../workgroups.ts'
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
  /** Whether operands may be rounded to float16, where that is faster; sums stay float32. */
  readonly halves?: boolean | undefined
}

/** Panels of a packed operand are padded to whole tiles of every variant: of 12, 6 or 2 rows, 32 or 16 columns. */
export const PANEL_ROWS = 12
export const PANEL_COLS = 32

export function padded(count: number, unit: number): number {
  return Math.ceil(count / unit) * unit
}

/** Workgroups that a GPU is to have for a product at least, if sums are long enough to be shared out. */
const ENOUGH_TILES = 1024
const LEAST_STEPS = 256

/** Parts of a sum that the shader's workgroups compute, which are then added. */
function partCount({ rows, cols, inner }: MatmulCommand): number {
  const tiles = Math.ceil(rows / 64) * Math.ceil(cols / 64)
  return Math.min(Math.ceil(inner / LEAST_STEPS), Math.ceil(ENOUGH_TILES / tiles))
}

/** Of the shader with tiles of so many rows and columns. */
export function matmulWorkgroups(command: MatmulCommand, tile: number): Workgroups {
  const { rows, cols } = command
  return [Math.ceil(cols / tile), Math.ceil(rows / tile) * partCount(command)]
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
    halves: (c) => Number(c.halves ?? false),
  },
  scratch: ({ rows, cols, inner, transposeA }) =>
    (padded(cols, PANEL_COLS) + (transposeA ? padded(rows, PANEL_ROWS) : 0)) * inner * WORD,
  reference: (m, c) => reference(m.out, m.a, m.b, c),
  // Processors multiply and add at once where they can. The errors of a sum's roundings walk: with the root
  // of their number.
  agreement: { out: { within: ({ inner }) => ({ ofLargest: 2 ** -23 * Math.sqrt(inner) }) } },
  nearly: {
    out: {
      within: ({ inner, halves }) => ({
        ofLargest: (halves ? 2 ** -11 : 2 ** -23) * Math.sqrt(inner),
      }),
    },
  },
  constants: { MATMUL_BLOCK },
  workgroups: (c) => matmulWorkgroups(c, 64),
  finish(c) {
    const parts = partCount(c)
    if (parts === 1) return undefined
    const { rows, cols } = c
    return {
      workgroups: flatWorkgroups(rows * cols),
      betweenBytes: parts * rows * cols * WORD,
    }
  },
})
