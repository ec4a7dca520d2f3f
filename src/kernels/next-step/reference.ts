/**
 * The next step of each row that a token was drawn for: its entry in the step buffer gets the token and the
 * position behind, so that the same pass can run again without JavaScript between. A token that is none (-1)
 * counts as 0, and the last position has none behind it: such a row goes on to no purpose, and harms no other.
 */
import { STEP, STEP_WORDS } from '../step.ts'

/**
 * @param step (rows of the pass, STEP_WORDS)
 * @param index (rows): the row of the pass that each token was drawn for, each another one
 * @param tokens (rows)
 * @param limits what tokens and positions stay below
 */
export function nextStep(
  step: Int32Array,
  index: Int32Array,
  tokens: Int32Array,
  rows: number,
  limits: { readonly tokens: number; readonly positions: number },
): void {
  for (let row = 0; row < rows; row++) {
    const entry = index[row] * STEP_WORDS
    const token = tokens[row]
    step[entry + STEP.token] = token >= 0 && token < limits.tokens ? token : 0
    const next = step[entry + STEP.position] + 1
    step[entry + STEP.position] = Math.min(next, limits.positions - 1)
  }
}
