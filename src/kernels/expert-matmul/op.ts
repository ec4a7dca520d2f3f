import { TILE } from '../../ternary/index.ts'
import { defineOp } from '../define-op.ts'
import { type QuantizedBuffer, quantized, type TernaryMatrix, ternary } from '../matrices.ts'
import { floats, words } from '../operand-kinds.ts'
import { MAX_EXPERTS } from '../route/reference.ts'
import type { BufferSlice } from '../slice.ts'
import { indexInput } from '../step-inputs.ts'
import { expertMatmul as reference } from './reference.ts'

/**
 * BitLinear's product, each row by the matrix of its expert: out (rows, weights.rows / experts) = W_e q * scales.
 * Rows are sorted by expert, as `route` sorts them.
 */
export interface ExpertMatmulCommand {
  readonly op: 'expert-matmul'
  readonly rows: number
  readonly experts: number
  /** All experts', one below the other, in stripes; each has a multiple of 16 rows. */
  readonly weights: TernaryMatrix
  readonly x: QuantizedBuffer
  /** (rows) indices: the expert of each. */
  readonly chosen: BufferSlice
  readonly out: BufferSlice
}

/** Rows of each expert's matrix. */
const rowsOf = ({ weights, experts }: ExpertMatmulCommand) => weights.rows / experts

export const expertMatmul = defineOp<ExpertMatmulCommand>()({
  name: 'expert-matmul',
  operands: {
    x: quantized((c) => c.weights.cols),
    weights: ternary(),
    chosen: words((c) => c.rows),
    out: floats((c) => c.rows * rowsOf(c), 'write'),
  },
  counts: { experts: MAX_EXPERTS },
  check(check, { weights: { rows, order = 'stripes' }, experts }) {
    check.oneOf('weights.order', order, ['stripes'])
    if (rows % (experts * TILE) === 0) return
    check.fail('weights.rows', `a multiple of ${TILE} for each of ${experts} experts`, rows)
  },
  integers: { experts: (c) => c.experts },
  indices: (c) => [indexInput(c.chosen, 'expert', c.experts)],
  reference: (m, c) => reference(m.out, m.x, m.weights, m.chosen, c),
  agreement: 'exact',
  workgroups: (c) => [rowsOf(c) / TILE, c.rows],
})
