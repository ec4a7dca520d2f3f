/** What is drawn against probabilities by their definition, in float64 and with a full sort. */
import { describe, expect, test } from 'vitest'
import { Seeded } from '../testing/conformance-cases.ts'
import { SETTING, SETTING_WORDS, sample, TOP_P_ONE, WIDEST_GAP } from './reference.ts'

interface Options {
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
  readonly minP?: number
}

/** Softmax, top-k, top-p over what is left, min-p beside the likeliest. */
function probabilities(logits: readonly number[], options: Options): Float64Array {
  const { temperature = 1, topK = 0, topP = 1, minP = 0 } = options
  const weights = logits.map((logit) => Math.exp(logit / temperature))
  let kept = weights.map((_, token) => token).sort((a, b) => weights[b] - weights[a] || a - b)
  if (topK > 0) kept = kept.slice(0, topK)
  const sumOf = (tokens: readonly number[]) => tokens.reduce((sum, t) => sum + weights[t], 0)
  if (topP < 1) {
    const target = topP * sumOf(kept)
    let count = 0
    for (let reached = 0; reached < target; count++) reached += weights[kept[count]]
    kept = kept.slice(0, count)
  }
  kept = kept.filter((token) => weights[token] >= minP * weights[kept[0]])
  const total = sumOf(kept)
  const result = new Float64Array(logits.length)
  for (const token of kept) result[token] = weights[token] / total
  return result
}

function settingsOf({ temperature = 1, topK = 0, topP = 1, minP = 0 }: Options): Int32Array {
  const words = new Int32Array(SETTING_WORDS)
  const floats = new Float32Array(words.buffer)
  floats[SETTING.inverse] = 1 / temperature
  floats[SETTING.widest] = minP > 0 ? -Math.log(minP) : WIDEST_GAP
  words[SETTING.topK] = topK
  words[SETTING.topP] = Math.round(topP * TOP_P_ONE)
  words[SETTING.seedLow] = 11
  return words
}

/** How often each token is drawn at so many positions. */
function countsOf(logits: readonly number[], options: Options, draws: number): Float64Array {
  const row = Float32Array.from(logits)
  const settings = settingsOf(options)
  const counts = new Float64Array(logits.length)
  const token = new Int32Array(1)
  for (let position = 0; position < draws; position++) {
    const step = Int32Array.of(0, 0, position, 0)
    sample(token, row, settings, step, Int32Array.of(0), 1, logits.length)
    counts[token[0]]++
  }
  return counts
}

describe('sample', () => {
  const logits = [...new Seeded(3).floats(24, 3)]

  test.each<Options>([
    {},
    { temperature: 0.6 },
    { temperature: 5 },
    { topK: 6 },
    { topP: 0.8 },
    { minP: 0.1 },
    { temperature: 1.5, topK: 12, topP: 0.9, minP: 0.05 },
  ])('draws each token as often as its probability says, with %j', (options) => {
    const draws = 100_000
    const counts = countsOf(logits, options, draws)
    const expected = probabilities(logits, options)
    let chiSquare = 0
    let degrees = -1
    for (const [token, probability] of expected.entries()) {
      if (probability === 0) {
        expect(counts[token]).toBe(0)
        continue
      }
      degrees++
      chiSquare += (counts[token] - draws * probability) ** 2 / (draws * probability)
    }
    // Wilson and Hilferty: one right sampler in a thousand exceeds it.
    const limit = degrees * (1 - 2 / (9 * degrees) + 3.09 * Math.sqrt(2 / (9 * degrees))) ** 3
    expect(chiSquare).toBeLessThan(limit)
  })

  test('draws a rare token neither more nor less often than it should', () => {
    // 128 tokens that share a chance of 0.001.
    const rare = Math.log(0.001 / 0.999 / 128)
    const counts = countsOf([0, ...Array<number>(128).fill(rare)], {}, 100_000)
    const drawn = counts.subarray(1).reduce((sum, count) => sum + count, 0)
    expect(Math.abs(drawn - 100)).toBeLessThan(33) // 3.3 standard deviations
  })

  test('takes what two models agree on nearly as often as it could', () => {
    // The same numbers, other logits: tokens agree at least in (1 - d) / (1 + d), d the total variation.
    const other = logits.map((logit, token) => logit + (token % 3) * 0.3)
    const [p, q] = [probabilities(logits, {}), probabilities(other, {})]
    const distance = p.reduce((sum, own, token) => sum + Math.abs(own - q[token]) / 2, 0)
    let agreed = 0
    const draws = 20_000
    const token = new Int32Array(2)
    const rows = Float32Array.from([...logits, ...other])
    const settings = Int32Array.from([...settingsOf({}), ...settingsOf({})])
    for (let position = 0; position < draws; position++) {
      const step = Int32Array.of(0, 0, position, 0)
      sample(token, rows, settings, step, Int32Array.of(0, 0), 2, logits.length)
      if (token[0] === token[1]) agreed++
    }
    expect(agreed / draws).toBeGreaterThan((1 - distance) / (1 + distance) - 0.015)
  })

  // Weights of 2^30 and 2^29, so that sums and shares of them are exact.
  test.each([
    ['equals', [2, 2, 2, 2], 0.5, [0, 1]],
    ['the likelier half', [1, 0, 0], 0.5, [0]],
    ['all but the last', [1, 0, 0], 0.75, [0, 1]],
    ['hardly more than half', [1, 0, 0], 0.5 + 2 ** -24, [0, 1]],
  ])('top-p keeps no token beyond those that reach it exactly: %s', (_, own, topP, kept) => {
    const counts = countsOf(own, { topP, temperature: 1 / Math.LN2 }, 300)
    expect([...counts.keys()].filter((token) => counts[token] > 0)).toEqual(kept)
  })

  test('min-p keeps a token that is just as likely', () => {
    const counts = countsOf([1, 0, -1e-6], { minP: Math.exp(-1) }, 300)
    expect([...counts].map((count) => count > 0)).toEqual([true, true, false])
  })
})
