import { TILE } from '../../ternary/index.ts'
import { defineOp } from '../define-op.ts'
import { type QuantizedBuffer, quantized, type TernaryMatrix, ternary } from '../matrices.ts'
import { floats, WORD } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { type RowRange, ternaryMatmul as reference } from './reference.ts'

/** BitLinear's product: out (rows, weights.rows) = W q * scales; added to `out` if `accumulate`. */
export interface TernaryMatmulCommand {
  readonly op: 'ternary-matmul'
  readonly rows: number
  readonly weights: TernaryMatrix
  readonly x: QuantizedBuffer
  readonly out: BufferSlice
  readonly accumulate: boolean
  /**
   * Computes only these rows of the matrix, in their place of `out`: `first` is a multiple of 16. Unset:
   * all.
   */
  readonly part?: RowRange | undefined
}

/** Up to so many tokens, each leaves out what is 0 for itself, however little that is; see columns.h. */
const SPARSE_TOKENS = 8

/** Up to so many, each does where enough is 0 and the instructions are quick at it. */
export const LISTED_TOKENS = 128

export const ternaryMatmul = defineOp<TernaryMatmulCommand>()({
  name: 'ternary-matmul',
  operands: {
    x: quantized((c) => c.weights.cols),
    weights: ternary(),
    out: floats(
      (c) => c.rows * c.weights.rows,
      (c) => (c.accumulate || c.part ? 'update' : 'write'),
    ),
  },
  check(check, { weights: { rows, order }, part }) {
    if (order === 'columns' && part) check.fail('part', 'unset for columns', part)
    if (order === 'gated' && (part === undefined || part.first + part.count > rows / 2)) {
      check.fail('part', `within the first ${rows / 2} rows, those in stripes`, part)
    }
    if (part === undefined) return
    check.count('part.count', part.count, rows)
    check.first('part.first', part.first, rows - part.count, TILE)
  },
  integers: {
    first: ({ part }) => part?.first ?? 0,
    count: ({ part, weights }) => part?.count ?? weights.rows,
    accumulate: (c) => Number(c.accumulate),
  },
  // Of each token the columns that are not 0; see columns.h.
  scratch: ({ rows, weights: { order, cols } }) =>
    order === 'columns' && rows <= LISTED_TOKENS ? rows * (cols + (cols >> 2) + 32) * WORD : 0,
  constants: { SPARSE_TOKENS, LISTED_TOKENS },
  reference: (m, c) => reference(m.out, m.x, m.weights, c.rows, c.accumulate, c.part),
  agreement: 'exact',
  // A product and an addition may be one operation.
  nearly: {
    out: { within: ({ accumulate }) => (accumulate ? { ofLargest: 2e-7 } : {}) },
  },
  workgroups({ rows, weights, part }) {
    // Of gated rows the part in stripes.
    if (weights.order === 'columns') return undefined
    return [Math.ceil((part?.count ?? weights.rows) / TILE), Math.ceil(rows / 4)]
  },
})
