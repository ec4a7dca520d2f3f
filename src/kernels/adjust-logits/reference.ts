/**
 * What a caller asks of single tokens, before one is drawn. For each row, in this order:
 *
 *   1. biases     x = x + bias, for tokens that have one other than 0
 *   2. penalties  over the sequence's tokens so far, from the first to the row's own position:
 *      where a token occurs first     x = x / r if x > 0, else x r    (Keskar et al. 2019, section 4.1)
 *      first in the answer            x = x - presence
 *      at each place in the answer    x = x - frequency
 *   3. mask       x = -infinity for tokens that are not allowed
 *
 * The sequence's tokens lie in `history`, so that a pass which follows another without JavaScript between
 * them finds those that were just drawn.
 */
import { STEP, STEP_WORDS } from '../step.ts'

const f = Math.fround

/** What a row's amounts begin with: repetition, presence, frequency, and the position at which the answer begins. */
export const PENALTY_FLOATS = 4

/** What changes logits. */
export interface Adjustments {
  /** (rows, PENALTY_FLOATS + biasCount): penalties, then the bias of each of `biasTokens`. */
  readonly amounts: Float32Array
  /** (rows, biasCount); a token stands twice in a row only if it has no bias in one of the places. */
  readonly biasTokens: Int32Array | undefined
  readonly biasCount: number
  /** (slots, capacity): the tokens of each sequence by position. */
  readonly history: Int32Array | undefined
  readonly capacity: number
  /** (rows of the pass, STEP_WORDS) */
  readonly step: Int32Array
  /** (rows): the row of the pass that each row of logits is of. */
  readonly index: Int32Array
  /** (rows, cols / 32 rounded up): a bit a token, the lowest first, 1 where it is allowed. */
  readonly mask: Int32Array | undefined
}

/**
 * @param out (rows, cols)
 * @param logits (rows, cols)
 */
export function adjustLogits(
  out: Float32Array,
  logits: Float32Array,
  rows: number,
  cols: number,
  adjustments: Adjustments,
): void {
  const { mask } = adjustments
  out.set(logits.subarray(0, rows * cols))
  for (let row = 0; row < rows; row++) {
    const x = out.subarray(row * cols, (row + 1) * cols)
    addBiases(x, adjustments, row)
    penalise(x, adjustments, row)
    if (mask === undefined) continue
    const own = mask.subarray(row * Math.ceil(cols / 32))
    for (let i = 0; i < cols; i++) if (((own[i >> 5] >>> (i & 31)) & 1) === 0) x[i] = -Infinity
  }
}

function amountsOf({ amounts, biasCount }: Adjustments, row: number): Float32Array {
  return amounts.subarray(row * (PENALTY_FLOATS + biasCount))
}

function addBiases(x: Float32Array, adjustments: Adjustments, row: number): void {
  const { biasTokens, biasCount } = adjustments
  if (biasTokens === undefined) return
  const values = amountsOf(adjustments, row).subarray(PENALTY_FLOATS)
  for (let i = 0; i < biasCount; i++) {
    const token = biasTokens[row * biasCount + i]
    if (values[i] !== 0) x[token] = f(x[token] + values[i])
  }
}

function penalise(x: Float32Array, adjustments: Adjustments, row: number): void {
  const { history, capacity, step, index } = adjustments
  if (history === undefined) return
  const [repetition, presence, frequency, answer] = amountsOf(adjustments, row)
  if (repetition === 1 && presence === 0 && frequency === 0) return
  const entry = index[row] * STEP_WORDS
  const first = step[entry + STEP.slot] * capacity
  const seen = new Set<number>()
  const answered = new Set<number>()
  for (let position = 0; position <= step[entry + STEP.position]; position++) {
    const token = history[first + position]
    if (!seen.has(token)) x[token] = x[token] > 0 ? f(x[token] / repetition) : x[token] * repetition
    seen.add(token)
    if (position < answer) continue
    if (!answered.has(token)) x[token] = f(x[token] - presence)
    answered.add(token)
    x[token] = f(x[token] - frequency)
  }
}
