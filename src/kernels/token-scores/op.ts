import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { floats, words } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { rowInput } from '../step-inputs.ts'
import { PAIR_WORDS, tokenScores as reference, SCORE_FLOATS } from './reference.ts'

/**
 * What logits say of tokens: out (rows, 3) for each pair (row of logits, token) of int32; see
 * token-scores/reference.ts.
 */
export interface TokenScoresCommand {
  readonly op: 'token-scores'
  readonly rows: number
  /** The size of the vocabulary. */
  readonly cols: number
  readonly logits: BufferSlice
  readonly pairs: BufferSlice
  readonly out: BufferSlice
}

export const tokenScores = defineOp<TokenScoresCommand>()({
  name: 'token-scores',
  operands: {
    // At least one row; which ones are read depends on `pairs`.
    logits: floats((c) => c.cols),
    pairs: words((c) => c.rows * PAIR_WORDS),
    out: floats((c) => c.rows * SCORE_FLOATS, 'write'),
  },
  counts: { cols: MAX_COLS },
  integers: { cols: (c) => c.cols },
  indices({ cols, logits, pairs }) {
    const pair = { slice: pairs, stride: PAIR_WORDS }
    return [rowInput(logits, cols, pair), { ...pair, name: 'scored token', offset: 1, limit: cols }]
  },
  reference: (m, c) => reference(m.out, m.logits, m.pairs, c.rows, c.cols),
  agreement: 'exact',
  nearly: { out: { within: () => ({ absolute: 1e-6, relative: 2e-5 }) } },
  workgroups: ({ rows }) => [rows, 1],
  constants: { PAIR_WORDS, SCORE_FLOATS },
})
