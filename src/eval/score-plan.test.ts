/** What is computed for sequences that begin alike, and that every target is asked for exactly once. */
import { describe, expect, test } from 'vitest'
import { planSteps, positionsOf, rowsOf, type TokenSequence } from './score-plan.ts'

/** The target of each want by replaying the steps as a cache would. */
function replay(sequences: readonly TokenSequence[]): { sequence: number; text: string }[] {
  const cache: number[] = []
  return planSteps(sequences).flatMap(({ from, tokens, wants }) => {
    expect(from).toBeLessThanOrEqual(cache.length)
    cache.length = from
    return tokens.flatMap((token, row) => {
      cache.push(token)
      return wants
        .filter((want) => want.row === row)
        .map((want) => ({ sequence: want.sequence, text: [...cache, want.token].join(' ') }))
    })
  })
}

describe('planSteps', () => {
  test('computes a common context once and asks its last row for all first tokens', () => {
    const steps = planSteps([
      { tokens: [1, 2, 3, 4, 5], firstTarget: 3 },
      { tokens: [1, 2, 3, 6, 7], firstTarget: 3 },
      { tokens: [1, 2, 3, 8], firstTarget: 3 },
    ])
    expect(steps.map(({ from, tokens }) => [from, tokens])).toEqual([
      [0, [1, 2, 3, 4]],
      [3, [6]],
    ])
    expect(steps[0].wants.map(({ row, token }) => [row, token])).toEqual([
      [2, 4],
      [2, 6],
      [2, 8],
      [3, 5],
    ])
    expect([rowsOf(steps), positionsOf(steps)]).toEqual([5, 4])
  })

  test('asks for every target after exactly the tokens before it', () => {
    const sequences: TokenSequence[] = [
      { tokens: [1, 2, 3, 4, 5], firstTarget: 2 },
      { tokens: [1, 2, 9, 4, 5, 6], firstTarget: 4 },
      { tokens: [1, 2, 9, 4, 7], firstTarget: 1 },
      { tokens: [1, 2, 3, 4, 5], firstTarget: 2 },
      { tokens: [8, 2], firstTarget: 1 },
      { tokens: [5], firstTarget: 1 },
    ]
    const expected = sequences.flatMap(({ tokens, firstTarget }, sequence) =>
      tokens.flatMap((_, at) =>
        at < firstTarget ? [] : [{ sequence, text: tokens.slice(0, at + 1).join(' ') }],
      ),
    )
    const sorted = (list: typeof expected) =>
      list.map(({ sequence, text }) => `${sequence}: ${text}`).sort()
    expect(sorted(replay(sequences))).toEqual(sorted(expected))
  })
})
