/**
 * The scoring of continuations against stored log-likelihoods: twelve items of eight tasks on the
 * checkpoint that the embedded model was made of, from a float32 program that agrees with transformers.
 * Item texts are not part of this project; without them the test is skipped, and what is left is the
 * scores of tiny models and invented items against plain sums (decoder.test.ts, eval-cli.test.ts).
 */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { encodeRequest } from '../src/eval/encode-request.ts'
import { type SequenceScore, scoreGroups, withScoringModel } from '../src/eval/score-groups.ts'
import { loadModel } from '../src/node/load-model.ts'
import { sharedPath } from './support/fixtures.ts'

interface GoldenItem {
  readonly context: readonly string[]
  readonly continuations: readonly string[]
  readonly loglikelihood: readonly number[]
  readonly tokens: readonly number[]
}

const goldenPath = sharedPath('goldens/eval-first12.json')
const checkpoint = sharedPath('model-ja-en-58m')
const missing = [goldenPath, checkpoint].find((path) => !existsSync(path))
const reason = missing === undefined ? '' : ` (skipped: there is nothing at ${missing})`

function goldenItems(): { task: string; item: GoldenItem }[] {
  const golden: { tasks: Record<string, GoldenItem[]> } = JSON.parse(
    readFileSync(goldenPath, 'utf8'),
  )
  return Object.entries(golden.tasks).flatMap(([task, items]) =>
    items.map((item) => ({ task, item })),
  )
}

describe.skipIf(missing !== undefined)(`stored log-likelihoods${reason}`, () => {
  test('token counts are equal and log-likelihoods near, several sequences to a pass', async () => {
    await using model = await loadModel(checkpoint, {
      kv: 'f32',
      matmulPrecision: 'highest',
      head: 'f16',
    })
    const items = goldenItems()
    expect(items).toHaveLength(96)
    const rules = { tokenization: 'harness', bos: 'auto' } as const
    const scores = new Map<number, readonly SequenceScore[]>()
    await withScoringModel(model, undefined, async (scoring, signal) => {
      const groups = items.map(({ item }, key) => ({
        key,
        sequences: item.continuations.map((continuation, i) => {
          const context = item.context[i] ?? item.context[0]
          const { contextLength } = model.config
          const sequence = encodeRequest(
            model.tokenizer,
            { context, continuation },
            rules,
            contextLength,
          )
          expect(sequence.tokens[0]).toBe(model.tokenizer.bosId)
          return sequence
        }),
      }))
      await scoreGroups(scoring, groups, {
        signal,
        onGroup: (key, results) => void scores.set(key, [...results]),
      })
    })
    const differences = items.flatMap(({ task, item }, key) => {
      const got = scores.get(key) ?? []
      expect(
        got.map(({ tokens }) => tokens),
        `${task} ${key}`,
      ).toEqual(item.tokens)
      return got.map(({ logLikelihood }, i) => ({
        stored: item.loglikelihood[i],
        tokens: item.tokens[i],
        difference: Math.abs(logLikelihood - item.loglikelihood[i]),
      }))
    })
    const mean = differences.reduce((sum, d) => sum + d.difference, 0) / differences.length
    const beyond = differences.filter((d) => d.difference > 0.02 * Math.abs(d.stored) + 0.2)
    console.info(
      `${differences.length} log-likelihoods: mean difference ${mean.toFixed(4)}, largest ` +
        `${Math.max(...differences.map((d) => d.difference)).toFixed(3)}`,
    )
    expect(beyond).toEqual([])
    // Sums over 1 to 45 tokens. Whichever way floats are added up, some int8 activations fall on the
    // other side of a rounding edge: docs/evaluation.md has three programs, 0.057 to 0.073 apart.
    expect(mean).toBeLessThanOrEqual(0.08)
    const perToken = differences.reduce((sum, d) => sum + d.difference / d.tokens, 0)
    expect(perToken / differences.length).toBeLessThanOrEqual(0.05)
  }, 120_000)
})
