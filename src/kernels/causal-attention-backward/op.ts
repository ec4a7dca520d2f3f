import { defineOp } from '../define-op.ts'
import { floats, WORD } from '../operand-kinds.ts'
import {
  attendedOf,
  checkSequences,
  qkvOf,
  type SequenceHeads,
  sequenceIntegers,
  sequenceTiles,
} from '../sequences.ts'
import type { BufferSlice } from '../slice.ts'
import { causalAttentionBackward as reference } from './reference.ts'

/** The gradient of causal-attention: dQkv (rows, (nHeads + 2 nKvHeads) * headDim), of rotated queries and keys. */
export interface CausalAttentionBackwardCommand extends SequenceHeads {
  readonly op: 'causal-attention-backward'
  /** What went in and what came out. */
  readonly qkv: BufferSlice
  readonly out: BufferSlice
  readonly softmax: BufferSlice
  readonly dOut: BufferSlice
  readonly dQkv: BufferSlice
  /** Whether operands of products may be rounded to float16, where that is faster. */
  readonly halves?: boolean | undefined
}

export const causalAttentionBackward = defineOp<CausalAttentionBackwardCommand>()({
  name: 'causal-attention-backward',
  operands: {
    qkv: floats(qkvOf),
    out: floats(attendedOf),
    softmax: floats((c) => c.rows * c.nHeads * 2),
    dOut: floats(attendedOf),
    dQkv: floats(qkvOf, 'write'),
  },
  check: checkSequences,
  integers: { ...sequenceIntegers, halves: (c) => Number(c.halves ?? false) },
  floats: { scale: (c) => 1 / Math.sqrt(c.headDim) },
  scratch: (c) => c.rows * c.nHeads * WORD,
  reference: (m, c) => reference(m, c),
  // As in causal-attention, with sums over queries beside those over keys.
  agreement: { dQkv: { within: () => ({ ofLargest: 1e-5 }) } },
  nearly: { dQkv: { within: ({ halves }) => ({ ofLargest: halves ? 5e-3 : 2e-5 }) } },
  workgroups: (c) => [c.nHeads, sequenceTiles(c)],
  finish: (c) => ({
    workgroups: [c.nKvHeads, sequenceTiles(c)],
    betweenBytes: c.rows * c.nHeads * 2 * WORD,
  }),
})
