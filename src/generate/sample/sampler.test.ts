// The sampler against a plain version that sorts everything, and against the probabilities it claims.
import { describe, expect, test } from 'vitest'
import { ALL_TOKENS } from '../../../test/support/mock-model.ts'
import { BackendError } from '../../errors.ts'
import type { SamplingSettings } from '../validate-options.ts'
import { Random } from './random.ts'
import { createSampler } from './sampler.ts'
import { SamplerWorkspace } from './token-filters.ts'
import { bucketOf, MAX_GAP, weightOf } from './token-weights.ts'

/** The documented steps, word for word, with a full sort. */
function sampleBySorting(
  logits: Float32Array,
  settings: SamplingSettings,
  u: number,
  prompt: readonly number[],
  answer: readonly number[],
): number {
  const scores = Float32Array.from(logits)
  for (const id of new Set([...prompt, ...answer])) {
    const count = answer.filter((other) => other === id).length
    const logit = logits[id]
    const repeated =
      logit > 0 ? logit / settings.repetitionPenalty : logit * settings.repetitionPenalty
    const present = count > 0 ? settings.presencePenalty : 0
    scores[id] = count > 0 ? repeated - (count * settings.frequencyPenalty + present) : repeated
  }
  const ranking = Array.from(scores, (_, id) => id)
  ranking.sort((a, b) => scores[b] - scores[a] || a - b)
  if (settings.temperature === 0) return ranking[0]
  const gapOf = (id: number) => (scores[ranking[0]] - scores[id]) * (1 / settings.temperature)
  const weigh = (id: number) => (gapOf(id) > MAX_GAP ? 0 : weightOf(gapOf(id), bucketOf(gapOf(id))))
  const sum = (ids: readonly number[]) => ids.reduce((total, id) => total + weigh(id), 0)

  let kept = settings.topK === 0 ? ranking : ranking.slice(0, settings.topK)
  if (settings.topP < 1) {
    const target = settings.topP * sum(kept)
    let size = 1
    for (let reached = weigh(kept[0]); reached < target; size++) reached += weigh(kept[size])
    kept = kept.slice(0, size)
  }
  if (settings.minP > 0) kept = kept.filter((id) => gapOf(id) <= -Math.log(settings.minP))
  kept = kept.toSorted((a, b) => a - b)
  let left = Math.floor(u * sum(kept))
  for (const id of kept) {
    left -= weigh(id)
    if (left < 0) return id
  }
  throw new Error('the draw fell outside')
}

/** Logits that are even, peaked, or full of ties. */
function makeLogits(random: Random, vocabSize: number, kind: number): Float32Array {
  return Float32Array.from({ length: vocabSize }, () => {
    const even = random.nextFloat()
    if (kind === 0) return even * 8 - 4
    if (kind === 1) return -Math.log(1 - even) * 5 - 10
    if (kind === 2) return Math.floor(even * 4)
    return even < 0.2 ? Number.NEGATIVE_INFINITY : even
  })
}

describe('the sampler', () => {
  test('draws what a full sort draws, for all combinations of filters, ties included', () => {
    const random = new Random(11)
    const workspace = new SamplerWorkspace()
    let combinations = 0
    for (const temperature of [0, 0.05, 0.7, 1, 3])
      for (const topK of [0, 1, 5, 60, 1000])
        for (const topP of [1e-9, 0.5, 0.95, 1])
          for (const minP of [0, 0.02, 0.5])
            for (const penalised of [false, true]) {
              const settings = {
                temperature,
                topK,
                topP,
                minP,
                repetitionPenalty: penalised ? 1.3 : 1,
                frequencyPenalty: penalised ? 0.2 : 0,
                presencePenalty: penalised ? -0.4 : 0,
              }
              const logits = makeLogits(random, 61, combinations++ % 4)
              const prompt = [1, 1, 7, 60]
              const answer: number[] = []
              const seed = combinations
              const draws = new Random(seed)
              const sampler = createSampler(settings, seed, workspace)
              sampler.addPrompt(prompt)
              for (let step = 0; step < 3; step++) {
                const drawn = sampler.sample(logits)
                const greedy = temperature === 0 || topK === 1
                const u = greedy ? 0 : draws.nextFloat()
                expect(drawn, JSON.stringify({ settings, step })).toBe(
                  sampleBySorting(logits, settings, u, prompt, answer),
                )
                answer.push(drawn)
              }
            }
    expect(combinations).toBe(600)
  })

  test.each([
    { topK: 40, topP: 0.9 },
    { topP: 0.9 },
    { topP: 0.5, temperature: 40 },
    { minP: 0.1, topK: 30_000 },
  ])('agrees with a full sort on a vocabulary of 128,256 with %j', (options) => {
    const settings = { ...ALL_TOKENS, ...options }
    const logits = makeLogits(new Random(2), 128_256, 1)
    const draws = new Random(9)
    const sampler = createSampler(settings, 9)
    for (let step = 0; step < 2; step++) {
      const expected = sampleBySorting(logits, settings, draws.nextFloat(), [], [])
      expect(sampler.sample(logits)).toBe(expected)
    }
  })

  test('draws each token as often as its probability says', () => {
    const logits = Float32Array.from({ length: 20 }, (_, i) => Math.sin(i) * 2)
    const temperature = 0.8
    const sampler = createSampler({ ...ALL_TOKENS, temperature }, 5)
    const draws = 100_000
    const counts = new Float64Array(logits.length)
    for (let i = 0; i < draws; i++) counts[sampler.sample(logits)]++
    const weights = Array.from(logits, (logit) => Math.exp(logit / temperature))
    const total = weights.reduce((a, b) => a + b)
    let chiSquare = 0
    for (const [id, weight] of weights.entries()) {
      const expected = (draws * weight) / total
      chiSquare += (counts[id] - expected) ** 2 / expected
    }
    // 19 degrees of freedom: a right sampler exceeds 43.8 once in a thousand seeds.
    expect(chiSquare).toBeLessThan(43.8)
  })

  test('repeats itself for a seed and differs for another', () => {
    const logits = makeLogits(new Random(1), 1000, 0)
    const draw = (seed: number) => {
      const sampler = createSampler(ALL_TOKENS, seed)
      return Array.from({ length: 8 }, () => sampler.sample(logits)).join()
    }
    expect(draw(3)).toBe(draw(3))
    expect(draw(3)).not.toBe(draw(4))
  })

  test('takes the first of equals when greedy, and leaves the logits as they were', () => {
    const logits = Float32Array.of(1, 3, 3, 2)
    const settings = { ...ALL_TOKENS, temperature: 0, repetitionPenalty: 4 }
    const sampler = createSampler(settings, 1)
    expect([1, 2, 3].map(() => sampler.sample(logits))).toEqual([1, 2, 3])
    expect([...logits]).toEqual([1, 3, 3, 2])
  })

  // Weights of 2^35 and 2^34, so that sums and shares of them are exact.
  test.each([
    ['equals', Float32Array.of(2, 2, 2, 2), 0.5, [0, 1]],
    ['the likelier half', Float32Array.of(1, 0, 0), 0.5, [0]],
    ['all but the last', Float32Array.of(1, 0, 0), 0.75, [0, 1]],
    ['hardly more than half', Float32Array.of(1, 0, 0), 0.5 + 1e-9, [0, 1]],
  ])('top-p keeps no token beyond those that reach it exactly: %s', (_, logits, topP, kept) => {
    const sampler = createSampler({ ...ALL_TOKENS, topP, temperature: 1 / Math.LN2 }, 3)
    const drawn = new Set(Array.from({ length: 200 }, () => sampler.sample(logits)))
    expect([...drawn].sort()).toEqual(kept)
  })

  test.each([1, 0.999])('min-p keeps a token that is just as likely, with top-p %d', (topP) => {
    // The second is e times less likely than the first, the third by a little more.
    const logits = Float32Array.of(1, 0, -1e-6)
    const sampler = createSampler({ ...ALL_TOKENS, minP: Math.exp(-1), topP }, 3)
    const drawn = new Set(Array.from({ length: 200 }, () => sampler.sample(logits)))
    expect([...drawn].sort()).toEqual([0, 1])
  })

  test('survives the smallest and the largest temperature', () => {
    const logits = Float32Array.of(1, 5, 5, 4.999)
    const cold = createSampler({ ...ALL_TOKENS, temperature: Number.MIN_VALUE }, 1)
    const hot = createSampler({ ...ALL_TOKENS, temperature: Number.MAX_VALUE, topP: 0.99 }, 1)
    const drawn = { cold: new Set<number>(), hot: new Set<number>() }
    for (let i = 0; i < 100; i++) {
      drawn.cold.add(cold.sample(logits))
      drawn.hot.add(hot.sample(logits))
    }
    expect([...drawn.cold].sort()).toEqual([1, 2])
    expect([...drawn.hot].sort()).toEqual([0, 1, 2, 3])
  })

  test.each([
    ['a NaN', [0, Number.NaN, 1]],
    ['a NaN in front', [Number.NaN, 1]],
    ['an infinite logit', [0, Number.POSITIVE_INFINITY]],
    ['nothing finite', [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    ['no logits', []],
  ])('refuses %s as a failure of the backend', (_, values) => {
    const sampler = createSampler(ALL_TOKENS, 1)
    expect(() => sampler.sample(Float32Array.from(values))).toThrow(BackendError)
  })
})

describe('token weights', () => {
  test('are exp(-gap) in units of 2^-35, to one unit', () => {
    for (let gap = 0; gap < MAX_GAP; gap += 0.00713) {
      const exact = Math.exp(-gap) * 2 ** 35
      expect(Math.abs(weightOf(gap, bucketOf(gap)) - exact)).toBeLessThanOrEqual(1)
    }
    expect(weightOf(0, 0)).toBe(2 ** 35)
    expect(weightOf(MAX_GAP, bucketOf(MAX_GAP))).toBeLessThanOrEqual(1)
  })
})
