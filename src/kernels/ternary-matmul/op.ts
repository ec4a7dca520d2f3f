import { TILE } from '../../ternary/index.ts'
import { defineOp } from '../define-op.ts'
import { type QuantizedBuffer, quantized, type TernaryMatrix, ternary } from '../matrices.ts'
import { floats } from '../operand-kinds.ts'
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
  check(check, { weights: { rows }, part }) {
    if (part === undefined) return
    check.count('part.count', part.count, rows)
    check.first('part.first', part.first, rows - part.count, TILE)
  },
  integers: {
    first: ({ part }) => part?.first ?? 0,
    count: ({ part, weights }) => part?.count ?? weights.rows,
    accumulate: (c) => Number(c.accumulate),
  },
  reference: (m, c) => reference(m.out, m.x, m.weights, c.rows, c.accumulate, c.part),
  agreement: 'exact',
  // A product and an addition may be one operation.
  nearly: {
    out: { within: ({ accumulate }) => (accumulate ? { ofLargest: 2e-7 } : {}) },
  },
  workgroups: ({ rows, weights, part }) => [
    Math.ceil((part?.count ?? weights.rows) / TILE),
    Math.ceil(rows / 4),
  ],
})
