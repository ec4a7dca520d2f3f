import { defineOp } from '../define-op.ts'
import { type TernaryMatrix, ternary } from '../matrices.ts'
import { floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { unpackTernary as reference } from './reference.ts'

/** The values of a ternary matrix of 2 bits, code * scale, row-major: out (rows, matrix.cols). */
export interface UnpackTernaryCommand {
  readonly op: 'unpack-ternary'
  /** Those of the matrix. */
  readonly rows: number
  readonly matrix: TernaryMatrix
  readonly out: BufferSlice
}

export const unpackTernary = defineOp<UnpackTernaryCommand>()({
  name: 'unpack-ternary',
  operands: { matrix: ternary(), out: floats((c) => c.rows * c.matrix.cols, 'write') },
  check(check, { rows, matrix }) {
    check.oneOf('matrix.order', matrix.order ?? 'stripes', ['stripes'])
    if (matrix.rows !== rows) check.fail('matrix.rows', `${rows}`, matrix.rows)
    if ((matrix.packing ?? '2bit') !== '2bit') check.fail('matrix.packing', '2bit', matrix.packing)
  },
  reference: (m, c) => reference(m.out, m.matrix, c.rows),
  agreement: 'exact',
  workgroups: ({ rows, matrix: { cols } }) => [Math.ceil(cols / 64), rows],
})
