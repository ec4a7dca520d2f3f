import { MAX_COLS, MAX_COUNT } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { WORD, words } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { stepInput, stepRows } from '../step.ts'
import { tokenHistory as reference } from './reference.ts'

/** history (slots, capacity) gets the tokens of the step buffer, each at its place. */
export interface TokenHistoryCommand {
  readonly op: 'token-history'
  readonly rows: number
  /** Tokens that there are. */
  readonly tokenLimit: number
  /** Positions of a sequence. */
  readonly capacity: number
  readonly step: BufferSlice
  readonly history: BufferSlice
}

export const tokenHistory = defineOp<TokenHistoryCommand>()({
  name: 'token-history',
  operands: {
    step: stepRows(),
    // At least one sequence; which ones change depends on the step buffer.
    history: words((c) => c.capacity, 'update'),
  },
  counts: { tokenLimit: MAX_COLS, capacity: MAX_COUNT },
  integers: { capacity: (c) => c.capacity },
  indices: (c) => [
    stepInput('token', c, c.tokenLimit),
    stepInput('slot', c, Math.floor(c.history.byteLength / (c.capacity * WORD))),
    stepInput('position', c, c.capacity),
  ],
  writtenIndices: ({ history: slice, tokenLimit: limit }) => [
    { slice, name: 'token', stride: 1, offset: 0, limit },
  ],
  reference: (m, c) => reference(m.history, m.step, c.rows, c.capacity),
  agreement: 'exact',
  workgroups: ({ rows }) => [Math.ceil(rows / 64), 1],
})
