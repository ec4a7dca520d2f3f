/** What a pass reads of its batch, and what it says of scored tokens, in the words of the operations. */
import { STEP, STEP_WORDS } from '../kernels/step.ts'
import { PAIR_WORDS, SCORE_FLOATS } from '../kernels/token-scores/reference.ts'
import type { RowBatch, ScoreTargets, TokenScores } from './engine.ts'

/**
 * The entries of the step buffer.
 *
 * @param rows those that there are entries of; unset: all
 */
export function stepEntries(
  { tokens, slots, positions }: RowBatch,
  rows?: ArrayLike<number>,
): Int32Array {
  const count = rows?.length ?? tokens.length
  const entries = new Int32Array(count * STEP_WORDS)
  for (let at = 0; at < count; at++) {
    const row = rows?.[at] ?? at
    entries[at * STEP_WORDS + STEP.token] = tokens[row]
    entries[at * STEP_WORDS + STEP.slot] = slots[row]
    entries[at * STEP_WORDS + STEP.position] = positions[row]
  }
  return entries
}

/** Pairs of a row of logits and a token to be scored. */
export function targetPairs({ rows, tokens }: ScoreTargets): Int32Array {
  const pairs = new Int32Array(tokens.length * PAIR_WORDS)
  for (let i = 0; i < tokens.length; i++) pairs.set([rows[i], tokens[i]], i * PAIR_WORDS)
  return pairs
}

/** @param floats as token-scores writes them */
export function scoresIn(floats: Float32Array): TokenScores {
  const count = floats.length / SCORE_FLOATS
  const scores = { logProbs: new Float64Array(count), isBest: new Uint8Array(count) }
  for (let i = 0; i < count; i++) {
    const at = i * SCORE_FLOATS
    scores.logProbs[i] = floats[at] - Math.log(floats[at + 1])
    scores.isBest[i] = floats[at + 2]
  }
  return scores
}
