import { defineOp } from '../define-op.ts'
import { floats, words } from '../operand-kinds.ts'
import { MAX_SAMPLED_COLS } from '../sample/reference.ts'
import type { BufferSlice } from '../slice.ts'
import { DRAWN_FLOATS, MAX_LIKELIEST, logProbs as reference } from './reference.ts'

/**
 * What logits (rows, cols) say of a drawn token each (rows int32), and of the `count` likeliest: out (rows, 2 +
 * count) and ids (rows, count); see log-probs/reference.ts.
 */
export interface LogProbsCommand {
  readonly op: 'log-probs'
  readonly rows: number
  /** The size of the vocabulary. */
  readonly cols: number
  readonly count: number
  readonly logits: BufferSlice
  readonly tokens: BufferSlice
  readonly out: BufferSlice
  readonly ids: BufferSlice
}

export const logProbs = defineOp<LogProbsCommand>()({
  name: 'log-probs',
  operands: {
    logits: floats((c) => c.rows * c.cols),
    tokens: words((c) => c.rows),
    out: floats((c) => c.rows * (DRAWN_FLOATS + c.count), 'write'),
    ids: words((c) => c.rows * c.count, 'write'),
  },
  counts: { cols: MAX_SAMPLED_COLS, count: MAX_LIKELIEST },
  integers: { cols: (c) => c.cols, count: (c) => c.count },
  reference: (m, c) => reference(m.out, m.ids, m.logits, m.tokens, c.rows, c.cols, c.count),
  agreement: 'exact',
  nearly: { out: { within: () => ({ absolute: 1e-6, relative: 2e-5 }) } },
  workgroups: ({ rows }) => [rows, 1],
  constants: { DRAWN_FLOATS, MAX_LIKELIEST },
})
