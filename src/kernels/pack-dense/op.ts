import { padToTile } from '../../ternary/index.ts'
import { defineOp } from '../define-op.ts'
import { type DenseMatrix, dense } from '../matrices.ts'
import { bytes, WORD } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { DENSE_TYPES, VALUES_TYPES, type ValuesType } from '../storage.ts'
import { packDenseRows, valuesAsFloats } from './reference.ts'

/** Loading: packs `rows` rows of values (rows, out.cols) into the matrix, from `firstRow` on. */
export interface PackDenseCommand {
  readonly op: 'pack-dense'
  readonly rows: number
  readonly firstRow: number
  /** Unset: f32. */
  readonly valuesType?: ValuesType
  readonly values: BufferSlice
  readonly out: DenseMatrix
}

export const packDense = defineOp<PackDenseCommand>()({
  name: 'pack-dense',
  operands: {
    values: bytes(
      ({ rows, out, valuesType = 'f32' }) =>
        rows * out.cols * (valuesType === 'f32' ? WORD : WORD / 2),
    ),
    out: dense(DENSE_TYPES, 'update'),
  },
  check(check, { rows, firstRow, valuesType = 'f32', out }) {
    check.first('firstRow', firstRow, out.rows - rows)
    check.oneOf('valuesType', valuesType, VALUES_TYPES)
  },
  integers: {
    firstRow: (c) => c.firstRow,
    valuesType: ({ valuesType = 'f32' }) => VALUES_TYPES.indexOf(valuesType),
  },
  reference(m, { rows, firstRow, valuesType = 'f32', out }) {
    packDenseRows(m.out, valuesAsFloats(m.values, valuesType, rows * out.cols), rows, firstRow)
  },
  agreement: 'exact',
  workgroups: ({ rows, firstRow, out }) => [
    firstRow + rows === out.rows ? padToTile(out.rows) - firstRow : rows,
    1,
  ],
})
