import { expect, test } from 'vitest'
import { StepCount } from './step-count.ts'

/** The counts that passes are given whose steps take so long, in turn. */
function counts(most: number, ...each: readonly number[]): number[] {
  const count = new StepCount()
  return each.map((ms) => {
    const next = count.next(most)
    count.took(ms)
    return next
  })
}

const times = (n: number, ...ms: number[]) => Array.from({ length: n }, () => ms).flat()

test('is one at first, and then what comes within 20 ms', () => {
  expect(counts(16, ...times(12, 1))[0]).toBe(1)
  expect(counts(16, ...times(12, 1)).at(-1)).toBe(16)
  expect(counts(16, ...times(12, 4)).at(-1)).toBe(4)
  expect(counts(16, ...times(12, 30)).at(-1)).toBe(1)
  expect(counts(4, ...times(12, 1)).at(-1)).toBe(4)
})

test('holds where steps that were on their way take turns with others', () => {
  const swinging = counts(16, ...times(12, 1.1), ...times(20, 0.3, 2.8))
  expect(new Set(swinging.slice(12))).toEqual(new Set([16]))
})

test('changes when steps have become slower or faster', () => {
  const changing = counts(16, ...times(12, 1), ...times(12, 12), ...times(12, 1))
  expect([changing[11], changing[23], changing[35]]).toEqual([16, 2, 16])
})
