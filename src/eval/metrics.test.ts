/** The rules by which choices are compared and counted. */
import { describe, expect, test } from 'vitest'
import { metricsOf, predictionsOf } from './metrics.ts'
import type { SequenceScore } from './score-groups.ts'
import type { TaskItem } from './task.ts'

function item(choices: readonly string[], gold: number): TaskItem {
  const requests = choices.map((choice) => ({ context: 'q', continuation: ` ${choice}` }))
  return { requests, gold, choices }
}

function scores(...values: readonly number[]): SequenceScore[] {
  return values.map((logLikelihood) => ({ logLikelihood, tokens: 1, isGreedy: logLikelihood > -1 }))
}

describe('predictions', () => {
  test('take the first of equal choices', () => {
    expect(predictionsOf(item(['a', 'b', 'c'], 0), scores(-3, -2, -2)).acc).toBe(1)
  })

  test('acc_norm counts code points and acc_bytes bytes of UTF-8', () => {
    // Per code point -1.2, -1; per byte -0.3, -1.
    const predictions = predictionsOf(item(['😀😀😀', 'abcd'], 0), scores(-3.6, -4))
    expect(predictions).toEqual({ acc: 0, acc_norm: 1, acc_bytes: 0 })
  })
})

describe('metrics', () => {
  test('of choices have standard errors, chance and majority', () => {
    const items = [item(['a', 'b'], 0), item(['a', 'b'], 1), item(['a', 'b', 'c', 'd'], 1)]
    const results = items.map((_, index) => ({
      index,
      scores: scores(-1, -2, -3, -4).slice(0, items[index].choices.length),
    }))
    const metrics = metricsOf('choice', items, results.reverse())
    expect(metrics).toMatchObject({ n: 3, chance: (0.5 + 0.5 + 0.25) / 3, majority: 2 / 3 })
    expect(metrics.acc).toBeCloseTo(1 / 3, 12)
    // The sample deviation over the root of n: sqrt(p (1 - p) / (n - 1)).
    expect(metrics.stderr).toBeCloseTo(Math.sqrt(((1 / 3) * (2 / 3)) / 2), 12)
  })

  test('of last words are the share that greedy decoding gives, and a perplexity', () => {
    const items = [item(['a'], 0), item(['b'], 0)]
    const results = [-0.5, -2].map((value, index) => ({ index, scores: scores(value) }))
    const metrics = metricsOf('cloze', items, results)
    expect(metrics.acc).toBe(0.5)
    expect(metrics.perplexity).toBeCloseTo(Math.exp(1.25), 12)
  })

  test('of whole texts count words and bytes of the original', () => {
    const page: TaskItem = { ...item(['x'], 0), original: 'zwei Wörter' }
    const metrics = metricsOf('rolling', [page], [{ index: 0, scores: scores(-6, -6) }])
    expect(metrics.word_perplexity).toBeCloseTo(Math.exp(6), 9)
    expect(metrics.bits_per_byte).toBeCloseTo(1 / Math.LN2, 12)
  })

  test('beyond float64 are left out, with the reason, as JSON has no infinity', () => {
    // A page of Japanese is one word.
    const page: TaskItem = item(['東京は日本の首都です。'], 0)
    const metrics = metricsOf('rolling', [page], [{ index: 0, scores: scores(-900) }])
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics)
    expect(metrics).not.toHaveProperty('word_perplexity')
    expect(metrics.left_out?.['word_perplexity']).toContain('too few: 1')
    expect(metrics.byte_perplexity).toBeGreaterThan(1)
    const cloze = metricsOf('cloze', [item(['a'], 0)], [{ index: 0, scores: scores(-900) }])
    expect(JSON.parse(JSON.stringify(cloze))).toEqual(cloze)
    expect(cloze.left_out).toHaveProperty('perplexity')
  })
})
