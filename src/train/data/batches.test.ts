/** The order of text: every window once before any comes again, shares, what is held out and what is not learnt. */
import { expect, test } from 'vitest'
import { UsageError } from '../../errors.ts'
import type { ModelConfig } from '../../model/config/config.ts'
import { shuffledAt } from '../counted-random.ts'
import type { TrainingShape } from '../shape.ts'
import { Batches } from './batches.ts'
import { memoryTokens, NOT_LEARNT } from './token-source.ts'

const shape: TrainingShape = {
  model: {} as ModelConfig,
  quant: 'b158',
  batch: 2,
  length: 4,
  recompute: 'none',
}

/** Windows of 4 that begin with 4 n. */
function source(windows: number, offset = 0) {
  const words = Int32Array.from({ length: windows * 4 + 1 }, (_, i) => offset + i)
  return { source: memoryTokens('numbers', words), weight: 1 }
}

async function firstsOf(batches: Batches, count: number): Promise<number[]> {
  const passes = await batches.next(count)
  return passes.flatMap(({ tokens }) => [tokens[0], tokens[4]])
}

test.each([1, 2, 3, 10, 97, 1000])('a shuffled order of %i has every place once', (count) => {
  const places = Array.from({ length: count }, (_, i) => shuffledAt(5, i, count))
  expect([...places].sort((a, b) => a - b)).toEqual([...places.keys()])
  if (count > 90) expect(places).not.toEqual([...places.keys()])
})

test('every window is learnt from once before any comes again, and the last are held out', async () => {
  const batches = new Batches([source(21)], shape, 1)
  expect(batches.learntWindows).toBe(20)
  const [first, second] = [await firstsOf(batches, 10), await firstsOf(batches, 10)]
  const all = Array.from({ length: 20 }, (_, i) => i * 4)
  for (const round of [first, second]) expect(round.sort((a, b) => a - b)).toEqual(all)
  const held: number[] = []
  for await (const { tokens, weights } of batches.heldOut()) {
    held.push(tokens[0])
    // One window, and one that fills the batch up and does not count.
    expect([...weights]).toEqual([0.25, 0.25, 0.25, 0.25, 0, 0, 0, 0])
  }
  expect(held).toEqual([80])
})

test('a run that goes on gets what an unbroken one gets', async () => {
  const sources = [source(50), { ...source(30, 1000), weight: 3 }]
  const whole = new Batches(sources, shape, 9)
  await whole.next(7)
  const { cursor } = whole
  const rest = await whole.next(5)
  const other = new Batches(sources, shape, 9)
  other.seek(JSON.parse(JSON.stringify(cursor)))
  expect(await other.next(5)).toEqual(rest)
  expect(() => new Batches([source(9)], shape, 9).seek(cursor)).toThrow(UsageError)
})

test('sources come up by other weights in the second half, and one may be left out of the first', async () => {
  const sources = [
    { ...source(50), lateWeight: 0 },
    { ...source(50, 1000), weight: 0, lateWeight: 1 },
  ]
  const batches = new Batches(sources, shape, 2)
  const isSecond = (tokens: Int32Array) => tokens.every((id) => id >= 1000)
  for (const { tokens } of await batches.next(20)) {
    expect(tokens.every((id) => id < 1000)).toBe(true)
  }
  const { cursor } = batches
  const late = await batches.next(20, true)
  expect(late.every(({ tokens }) => isSecond(tokens))).toBe(true)
  const again = new Batches(sources, shape, 2)
  again.seek(cursor)
  expect(await again.next(20, true)).toEqual(late)
  const never = [{ ...source(50), lateWeight: 0 }]
  expect(() => new Batches(never, shape, 2)).toThrow('in the second half')
})

test('sources come up by their weights', async () => {
  const batches = new Batches([source(50), { ...source(50, 1000), weight: 3 }], shape, 2)
  const firsts = await firstsOf(batches, 400)
  const share = firsts.filter((id) => id >= 1000).length / firsts.length
  expect(Math.abs(share - 0.75)).toBeLessThan(0.06)
})

test('targets are the next tokens, and count the same over all batches of a step', async () => {
  const words = Int32Array.from({ length: 13 }, (_, i) => i + (i % 4 === 2 ? NOT_LEARNT : 0))
  const batches = new Batches([{ source: memoryTokens('talk', words), weight: 1 }], shape, 3)
  const passes = await batches.next(2)
  for (const { tokens, targets, weights } of passes) {
    expect([...targets]).toEqual([...tokens].map((id) => id + 1))
    expect([...weights].map((weight) => weight > 0)).toEqual([...targets].map((id) => id % 4 !== 2))
  }
  const total = passes.flatMap(({ weights }) => [...weights]).reduce((a, b) => a + b, 0)
  expect(total).toBeCloseTo(1, 5)
})

test('a text that is too short is refused with what it lacks', () => {
  expect(() => new Batches([source(1)], shape, 1)).toThrow(/at least 9 tokens in numbers, got 5/)
})
