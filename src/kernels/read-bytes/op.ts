import { defineOp } from '../define-op.ts'
import { bytes } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'

/** Bytes of a task. */
export const READ_PIECE: number = 1 << 20
/** A task's result; of peak-dot too, and its operand. */
export const VECTOR_BYTES = 64

/**
 * Measuring: reads `rows` pieces of {@link READ_PIECE} bytes once, each into a vector of `sinks`: the
 * memory bandwidth that decoding is measured against.
 */
export interface ReadBytesCommand {
  readonly op: 'read-bytes'
  readonly rows: number
  readonly from: BufferSlice
  readonly sinks: BufferSlice
}

export const readBytes = defineOp<ReadBytesCommand>()({
  name: 'read-bytes',
  operands: {
    from: bytes((c) => c.rows * READ_PIECE),
    sinks: bytes((c) => c.rows * VECTOR_BYTES, 'write'),
  },
  reference: undefined,
  agreement: 'exact',
  workgroups: ({ rows }) => [16, rows],
  constants: { READ_PIECE, VECTOR_BYTES },
})
