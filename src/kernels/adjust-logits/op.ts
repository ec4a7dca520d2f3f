import { MAX_COUNT } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { floats, WORD, words } from '../operand-kinds.ts'
import { MAX_SAMPLED_COLS } from '../sample/reference.ts'
import type { BufferSlice } from '../slice.ts'
import { STEP_WORDS, stepInput } from '../step.ts'
import { rowInput, type StepInput } from '../step-inputs.ts'
import { PENALTY_FLOATS, adjustLogits as reference } from './reference.ts'

/**
 * out (rows, cols) = logits with biases, penalties on tokens that have occurred, and a mask of those that
 * are allowed; see adjust-logits/reference.ts.
 */
export interface AdjustLogitsCommand {
  readonly op: 'adjust-logits'
  readonly rows: number
  /** The size of the vocabulary. */
  readonly cols: number
  readonly logits: BufferSlice
  readonly step: BufferSlice
  readonly index: BufferSlice
  /** Biases that a row has room for, whether it has any. */
  readonly biasCount: number
  /** What penalties and biases are, (rows, PENALTY_FLOATS + biasCount). */
  readonly amounts: BufferSlice
  /** Tokens with a bias, (rows, biasCount) of an index buffer. Unset: there are no biases. */
  readonly biasTokens?: BufferSlice | undefined
  /** Positions of a sequence in its history. */
  readonly capacity: number
  /** The tokens of sequences, (slots, capacity). Unset: there are no penalties. */
  readonly history?: BufferSlice | undefined
  /** A bit a token, (rows, cols / 32 rounded up). Unset: all are allowed. */
  readonly mask?: BufferSlice | undefined
  readonly out: BufferSlice
}

/** What of a command that adjusts logits picks addresses. */
export function adjustmentInputs(
  c: Pick<AdjustLogitsCommand, 'step' | 'index' | 'biasTokens' | 'history' | 'capacity' | 'rows'>,
  cols: number,
): StepInput[] {
  const inputs = [rowInput(c.step, STEP_WORDS, { slice: c.index, stride: 1 })]
  const token = { name: 'token', stride: 1, offset: 0, limit: cols }
  if (c.biasTokens) inputs.push({ ...token, slice: c.biasTokens })
  if (c.history) {
    const slots = Math.floor(c.history.byteLength / (c.capacity * WORD))
    inputs.push(
      { ...token, slice: c.history },
      stepInput('slot', c, slots),
      stepInput('position', c, c.capacity),
    )
  }
  return inputs
}

export const adjustLogits = defineOp<AdjustLogitsCommand>()({
  name: 'adjust-logits',
  operands: {
    logits: floats((c) => c.rows * c.cols),
    // At least one entry; which ones are read depends on `index`.
    step: words(() => STEP_WORDS),
    index: words((c) => c.rows),
    amounts: floats((c) => c.rows * (PENALTY_FLOATS + c.biasCount)),
    biasTokens: words((c) => c.rows * c.biasCount),
    // At least one sequence; which ones are read depends on the step buffer.
    history: words((c) => c.capacity),
    mask: words((c) => c.rows * Math.ceil(c.cols / 32)),
    out: floats((c) => c.rows * c.cols, 'write'),
  },
  counts: { cols: MAX_SAMPLED_COLS, biasCount: MAX_SAMPLED_COLS, capacity: MAX_COUNT },
  check: (check, { rows, biasCount }) => check.count('rows of biases', rows * biasCount),
  integers: {
    cols: (c) => c.cols,
    biasCount: (c) => c.biasCount,
    capacity: (c) => c.capacity,
  },
  indices: (c) => adjustmentInputs(c, c.cols),
  // Two bits a token: whether it has occurred, and whether in the answer.
  scratch: ({ rows, cols }) => rows * 2 * Math.ceil(cols / 32) * WORD,
  reference: ({ out, logits, amounts, step, index, biasTokens, history, mask }, c) =>
    reference(out, logits, c.rows, c.cols, {
      ...{ amounts, step, index, biasTokens, history, mask },
      ...{ biasCount: c.biasCount, capacity: c.capacity },
    }),
  agreement: 'exact',
  nearly: { out: { within: () => ({ relative: 1e-6, ofLargest: 1e-6 }) } },
  workgroups: ({ rows }) => [rows, 1],
  constants: { PENALTY_FLOATS },
})
