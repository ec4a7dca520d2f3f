import { defineOp } from '../define-op.ts'
import { floats } from '../operand-kinds.ts'
import {
  attendedOf,
  checkSequences,
  qkvOf,
  type SequenceHeads,
  sequenceIntegers,
  sequenceTiles,
} from '../sequences.ts'
import type { BufferSlice } from '../slice.ts'
import { ATTEND_KEYS, causalAttention as reference } from './reference.ts'

/**
 * Causal attention of whole sequences, as training runs it: out (rows, nHeads * headDim) from rotated qkv
 * (rows, (nHeads + 2 nKvHeads) * headDim), with what its backward needs of the softmax.
 */
export interface CausalAttentionCommand extends SequenceHeads {
  readonly op: 'causal-attention'
  readonly qkv: BufferSlice
  readonly out: BufferSlice
  /** (rows, nHeads, 2): the largest score, and the sum of exponentials above it. */
  readonly softmax: BufferSlice
  /** Whether operands of products may be rounded to float16, where that is faster. */
  readonly halves?: boolean | undefined
}

export const causalAttention = defineOp<CausalAttentionCommand>()({
  name: 'causal-attention',
  operands: {
    qkv: floats(qkvOf),
    out: floats(attendedOf, 'write'),
    softmax: floats((c) => c.rows * c.nHeads * 2, 'write'),
  },
  check: checkSequences,
  integers: { ...sequenceIntegers, halves: (c) => Number(c.halves ?? false) },
  floats: { scale: (c) => 1 / Math.sqrt(c.headDim) },
  reference: (m, c) => reference(m, c),
  // Processors multiply and add at once where they can.
  agreement: {
    out: { within: () => ({ ofLargest: 4e-6 }) },
    softmax: { within: () => ({ ofLargest: 4e-6 }) },
  },
  constants: { ATTEND_KEYS },
  // Exponentials of GPUs are some places off, too.
  nearly: {
    out: { within: ({ halves }) => ({ ofLargest: halves ? 2e-3 : 1e-5 }) },
    softmax: { within: ({ halves }) => ({ ofLargest: halves ? 2e-3 : 1e-5 }) },
  },
  workgroups: (c) => [c.nHeads, sequenceTiles(c)],
})
