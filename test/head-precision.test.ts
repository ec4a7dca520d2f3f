/**
 * The embedded model with an int4 head against the same model with int8: what generation looks at must
 * be the same, bit for bit, on every backend; the rest must be near.
 */

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Backend } from '../src/backends/backend.ts'
import type { HeadType } from '../src/model/weights/dense-weights.ts'
import { defaultModelPath } from '../src/node/resolve-model.ts'
import { testBackends } from './support/backends.ts'
import { cosine, openEngine, promptBatch, type TestEngine } from './support/engine.ts'
import { sequencesOf } from './support/sequences.ts'

interface GoldenCase {
  readonly ids: readonly number[]
  readonly greedy: readonly number[]
}

const { cases }: { cases: GoldenCase[] } = JSON.parse(
  readFileSync(new URL('fixtures/golden/model-chat-golden.json', import.meta.url), 'utf8'),
)

/** Tokens whose logits must be those of int8. */
const BEST = 40

/** The logits at every position of a prompt and its continuation. */
async function allLogits({ decoder }: TestEngine, { ids, greedy }: GoldenCase) {
  const tokens = [...ids, ...greedy]
  const cache = sequencesOf(decoder, { slots: 1, capacity: tokens.length })
  const logits = (await decoder.forward(cache.place(promptBatch(tokens, 'all')))).slice()
  cache.close()
  return logits
}

async function logitsOfCases(open: () => Backend | Promise<Backend>, head: HeadType) {
  await using engine = await openEngine(defaultModelPath(), await open(), { head })
  expect(engine.weights.head.type).toBe(head)
  const all: Float32Array[] = []
  for (const one of cases) all.push(await allLogits(engine, one))
  return { all, vocab: engine.config.vocabSize }
}

function best(logits: Float32Array): number[] {
  return [...logits.keys()].sort((a, b) => logits[b] - logits[a]).slice(0, BEST)
}

const backends = testBackends().filter(({ title }) => title.endsWith('threads: 2'))

for (const { title, open } of backends) {
  describe.skipIf(open === undefined)(title, () => {
    test('the best tokens after every position and their logits are those of int8', async () => {
      if (open === undefined) return
      const { all: int8, vocab } = await logitsOfCases(open, 'int8')
      const { all: int4 } = await logitsOfCases(open, 'int4')
      for (const [i, expected] of int8.entries()) {
        // As good as different everywhere else: the test would notice an int8 head in disguise.
        expect(int4[i]).not.toEqual(expected)
        expect(cosine(int4[i], expected)).toBeGreaterThan(0.99)
        for (let row = 0; row < expected.length; row += vocab) {
          const [a, b] = [expected, int4[i]].map((all) => all.subarray(row, row + vocab))
          const ids = best(a)
          expect(best(b)).toEqual(ids)
          for (const id of ids) expect(b[id]).toBe(a[id])
        }
      }
    })
  })
}
