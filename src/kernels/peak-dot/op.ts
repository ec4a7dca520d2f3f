import { defineOp } from '../define-op.ts'
import { bytes } from '../operand-kinds.ts'
import { VECTOR_BYTES } from '../read-bytes/op.ts'
import type { BufferSlice } from '../slice.ts'

/** Products of a task. */
export const PEAK_PRODUCTS: number = 1 << 20

/**
 * Measuring: `rows` tasks of {@link PEAK_PRODUCTS} products of int8 in registers: the integer peak that
 * prefill is measured against. What `sums` hold means nothing.
 */
export interface PeakDotCommand {
  readonly op: 'peak-dot'
  readonly rows: number
  readonly operands: BufferSlice
  readonly sums: BufferSlice
}

export const peakDot = defineOp<PeakDotCommand>()({
  name: 'peak-dot',
  operands: {
    operands: bytes(() => VECTOR_BYTES),
    sums: bytes((c) => c.rows * VECTOR_BYTES, 'write'),
  },
  reference: undefined,
  agreement: 'exact',
  workgroups: ({ rows }) => [rows, 1],
  constants: { PEAK_PRODUCTS },
})
