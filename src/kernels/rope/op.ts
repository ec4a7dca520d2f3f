import { defineOp } from '../define-op.ts'
import { floats } from '../operand-kinds.ts'
import { checkSequences, qkvOf, type SequenceHeads, sequenceIntegers } from '../sequences.ts'
import type { BufferSlice } from '../slice.ts'
import { rope as reference } from './reference.ts'

/**
 * Rotary embedding of queries and keys in place, or, with `inverse`, its backward: the rotation back. qkv
 * (rows, (nHeads + 2 nKvHeads) * headDim): queries, keys, values. Sequences of `length` rows follow each other.
 */
export interface RopeCommand extends SequenceHeads {
  readonly op: 'rope'
  readonly qkv: BufferSlice
  /** cos then sin, (length, 2, headDim / 2). */
  readonly rotations: BufferSlice
  readonly inverse?: boolean | undefined
}

export const rope = defineOp<RopeCommand>()({
  name: 'rope',
  operands: {
    qkv: floats(qkvOf, 'update'),
    rotations: floats((c) => c.length * c.headDim),
  },
  check: checkSequences,
  integers: sequenceIntegers,
  floats: { direction: (c) => (c.inverse ? -1 : 1) },
  reference: (m, c) => reference(m.qkv, m.rotations, c, c.inverse),
  agreement: 'exact',
  // GPUs multiply and add at once where they can.
  nearly: { qkv: { within: () => ({ ofLargest: 2 ** -22 }) } },
  workgroups: (c) => [Math.ceil(((c.nHeads + c.nKvHeads) * c.headDim) / 2 / 64), c.rows],
})
