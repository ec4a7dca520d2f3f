/** The log-probabilities made of token-scores against float64. */
import { describe, expect, test } from 'vitest'
import { Seeded } from '../testing/conformance-cases.ts'
import { SCORE_FLOATS, tokenScores } from './reference.ts'

function scoresOf(logits: Float32Array, pairs: readonly number[], cols: number): Float32Array {
  const rows = pairs.length / 2
  const out = new Float32Array(rows * SCORE_FLOATS)
  tokenScores(out, logits, Int32Array.from(pairs), rows, cols)
  return out
}

describe('tokenScores', () => {
  test.each([1, 16, 17, 1000])('gives the log-softmax of rows of %i', (cols) => {
    const logits = new Seeded(cols).floats(2 * cols, 10)
    const token = cols >> 1
    const [shifted, sum] = scoresOf(logits, [1, token], cols)
    const row = logits.subarray(cols)
    const exact = row[token] - Math.log(row.reduce((total, x) => total + Math.exp(x), 0))
    expect(shifted - Math.log(sum)).toBeCloseTo(exact, 5)
  })

  test('calls only the first of equal largest logits the best', () => {
    const logits = new Float32Array(20)
    logits[4] = 9
    logits[18] = 9
    const scores = scoresOf(logits, [0, 18, 0, 4, 0, 0], 20)
    expect([scores[2], scores[5], scores[8]]).toEqual([0, 1, 0])
  })
})
