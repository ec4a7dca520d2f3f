import { defineOp } from '../define-op.ts'
import { type DenseMatrix, dense } from '../matrices.ts'
import { floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { stepInput, stepRows } from '../step.ts'
import { embed as reference } from './reference.ts'

/** out (rows, table.cols) = rows of the table named by the step buffer's tokens. */
export interface EmbedCommand {
  readonly op: 'embed'
  readonly rows: number
  readonly step: BufferSlice
  readonly table: DenseMatrix
  /** What the rows are multiplied with. Unset: 1. */
  readonly factor?: number | undefined
  readonly out: BufferSlice
}

export const embed = defineOp<EmbedCommand>()({
  name: 'embed',
  operands: {
    step: stepRows(),
    table: dense(),
    out: floats((c) => c.rows * c.table.cols, 'write'),
  },
  check(check, { factor = 1 }) {
    if (!Number.isFinite(factor)) check.fail('factor', 'a finite number', factor)
  },
  floats: { factor: ({ factor = 1 }) => factor },
  indices: (c) => [stepInput('token', c, c.table.rows)],
  sparse: ({ table }) => (table.type === 'int4' ? table.data : undefined),
  reference: (m, c) => reference(m.out, m.step, m.table, c.rows, c.factor),
  agreement: 'exact',
  workgroups: ({ rows, table }) => [Math.ceil(table.cols / 64), rows],
})
