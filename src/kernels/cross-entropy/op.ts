import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { added, floats, words } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { crossEntropy as reference } from './reference.ts'

/**
 * Softmax and cross-entropy with their gradient, in the logits' place: `logits` (rows, cols) become their
 * gradients, and `losses` (rows) the rows' parts of the loss, added if `accumulate`.
 */
export interface CrossEntropyCommand {
  readonly op: 'cross-entropy'
  readonly rows: number
  /** The size of the vocabulary. */
  readonly cols: number
  readonly logits: BufferSlice
  /** The token that each row should have said; any where its weight is 0. */
  readonly targets: BufferSlice
  /** What each row counts in the loss, e.g. 1 / tokens; 0 for what is not learnt from. */
  readonly weights: BufferSlice
  readonly losses: BufferSlice
  readonly accumulate?: boolean | undefined
}

export const crossEntropy = defineOp<CrossEntropyCommand>()({
  name: 'cross-entropy',
  operands: {
    logits: floats((c) => c.rows * c.cols, 'update'),
    targets: words((c) => c.rows),
    weights: floats((c) => c.rows),
    losses: floats((c) => c.rows, added),
  },
  counts: { cols: MAX_COLS },
  integers: { cols: (c) => c.cols, accumulate: (c) => Number(c.accumulate ?? false) },
  indices: ({ cols, targets }) => [
    { slice: targets, name: 'target token', stride: 1, offset: 0, limit: cols },
  ],
  reference: (m, c) => reference(m, c),
  agreement: 'exact',
  // Exponentials and logarithms of GPUs are some places off.
  nearly: {
    logits: { within: () => ({ ofLargest: 2 ** -18 }) },
    losses: { within: () => ({ ofLargest: 2 ** -18 }) },
  },
  workgroups: ({ rows }) => [rows, 1],
})
