/**
 * Keeps which tokens a pass feeds, by sequence and position, for whoever looks back at them:
 * history[slot, position] = token, for each entry of the step buffer.
 */
import { STEP, STEP_WORDS } from '../step.ts'

/**
 * @param history (slots, capacity)
 * @param step (rows, STEP_WORDS)
 */
export function tokenHistory(
  history: Int32Array,
  step: Int32Array,
  rows: number,
  capacity: number,
): void {
  for (let row = 0; row < rows; row++) {
    const [token, slot, position] = [STEP.token, STEP.slot, STEP.position].map(
      (word) => step[row * STEP_WORDS + word],
    )
    history[slot * capacity + position] = token
  }
}
