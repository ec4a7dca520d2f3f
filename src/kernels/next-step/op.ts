import { MAX_COLS, MAX_COUNT } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { words } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { STEP_WORDS, stepInput } from '../step.ts'
import { rowInput } from '../step-inputs.ts'
import { nextStep as reference } from './reference.ts'

/**
 * Writes drawn tokens (rows int32) and the next positions into the entries of the step buffer that `index`
 * (rows) names; see next-step/reference.ts.
 */
export interface NextStepCommand {
  readonly op: 'next-step'
  readonly rows: number
  /** Tokens that there are. */
  readonly tokenLimit: number
  /** Positions that a sequence has. */
  readonly positionLimit: number
  readonly step: BufferSlice
  readonly index: BufferSlice
  readonly tokens: BufferSlice
}

export const nextStep = defineOp<NextStepCommand>()({
  name: 'next-step',
  operands: {
    // At least one entry; which ones change depends on `index`.
    step: words(() => STEP_WORDS, 'update'),
    index: words((c) => c.rows),
    tokens: words((c) => c.rows),
  },
  counts: { tokenLimit: MAX_COLS, positionLimit: MAX_COUNT },
  integers: { tokenLimit: (c) => c.tokenLimit, positionLimit: (c) => c.positionLimit },
  indices: ({ step, index }) => [rowInput(step, STEP_WORDS, { slice: index, stride: 1 })],
  writtenIndices: (c) => [
    stepInput('token', c, c.tokenLimit),
    stepInput('position', c, c.positionLimit),
  ],
  reference: (m, c) =>
    reference(m.step, m.index, m.tokens, c.rows, {
      tokens: c.tokenLimit,
      positions: c.positionLimit,
    }),
  agreement: 'exact',
  workgroups: ({ rows }) => [Math.ceil(rows / 64), 1],
})
