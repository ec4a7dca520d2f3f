import { TILE } from '../../ternary/index.ts'
import { defineOp } from '../define-op.ts'
import { type DenseMatrix, dense } from '../matrices.ts'
import { floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { BOUND_FLOATS, lookWeights as reference } from './reference.ts'

/** look = weights as int8, with bounds of what that loses; see look-weights/reference.ts. */
export interface LookWeightsCommand {
  readonly op: 'look-weights'
  /** Of the weights. */
  readonly rows: number
  /** f16 */
  readonly weights: DenseMatrix
  /** int8, of the same shape. */
  readonly look: DenseMatrix
  readonly bounds: BufferSlice
}

/** Floats that the bounds of so many rows of weights are. */
export function boundFloats(rows: number): number {
  return Math.ceil(rows / TILE) * BOUND_FLOATS
}

export const lookWeights = defineOp<LookWeightsCommand>()({
  name: 'look-weights',
  operands: {
    weights: dense(['f16']),
    look: dense(['int8'], 'write'),
    bounds: floats((c) => boundFloats(c.rows), 'write'),
  },
  check(check, { rows, weights, look }) {
    for (const [name, matrix] of Object.entries({ weights, look })) {
      if (matrix.rows !== rows) check.fail(`${name}.rows`, `${rows}, as rows`, matrix.rows)
    }
    if (look.cols !== weights.cols)
      check.fail('look.cols', `${weights.cols}, as weights`, look.cols)
  },
  reference: (m) => reference(m.look, m.bounds, m.weights),
  agreement: 'exact',
  constants: { BOUND_FLOATS },
})
