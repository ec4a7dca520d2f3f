/** The schedule against the published curves (Training Tips, figures 1c and 1d): 100,000 steps of 700M. */
import { expect, test } from 'vitest'
import { learningRate, type Schedule, warmupOf, weightDecay } from './schedule.ts'

const published: Schedule = {
  steps: 100_000,
  warmup: 400,
  peaks: [1.5e-3, 1e-3],
  endShare: 0.02,
  decay: 0.1,
}

test('two lines with a jump at half time, both to the same end', () => {
  expect(learningRate(published, 0)).toBeCloseTo(1.5e-3 / 400, 9)
  expect(learningRate(published, 400)).toBeCloseTo(1.5e-3, 9)
  expect(learningRate(published, 49_999)).toBeCloseTo(7.68e-4, 6)
  expect(learningRate(published, 50_000)).toBeCloseTo(5.17e-4, 6)
  expect(learningRate(published, 99_999)).toBeCloseTo(3e-5, 7)
})

test('weight decay counts in the first half only', () => {
  expect(weightDecay(published, 49_999)).toBe(0.1)
  expect(weightDecay(published, 50_000)).toBe(0)
})

test('the warm-up is the published one, or a tenth of a short run', () => {
  expect([warmupOf(100_000), warmupOf(500), warmupOf(3)]).toEqual([375, 50, 1])
})
