/**
 * The embedded model against stored results: every case's greedy continuation on every backend, alone
 * and four sequences to a pass, and all logits of one case.
 *
 * The stored results come from a float32 reference, so keys and values are float32 here too. A departure
 * is accepted only where by the plain decoder, which agrees with the stored logits to 1e-5, the two
 * best logits lie near each other; it is then printed.
 */

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { Backend } from '../src/backends/backend.ts'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import type { CacheType } from '../src/kernels/storage.ts'
import { readConfig } from '../src/model/config/read-config.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { defaultModelPath } from '../src/node/resolve-model.ts'
import { testBackends } from './support/backends.ts'
import {
  cosine,
  largestDifference,
  largestMagnitude,
  openEngine,
  promptBatch,
  type TestEngine,
} from './support/engine.ts'
import { sharedPath } from './support/fixtures.ts'
import { readNpy } from './support/npy.ts'
import { plainLogits } from './support/plain-decoder.ts'

interface GoldenCase {
  /** The prompt as text, in the chat format where it is a conversation. */
  readonly text: string
  readonly ids: readonly number[]
  readonly greedy: readonly number[]
}

/** The case whose logits are all stored. */
const LOGITS_CASE = 2

const golden: { cases: GoldenCase[] } = JSON.parse(
  readFileSync(new URL('fixtures/golden/model-golden.json', import.meta.url), 'utf8'),
)
const { cases } = golden

const checkpoint = sharedPath('model-ja-en-58m')

/** How near a file's results must be to the stored ones. */
interface Nearness {
  /** The two best logits may change places where they are no further apart. */
  readonly tie: number
  /** At least the cosine of all stored logits and ours. */
  readonly cosine: number
  /** At most the largest difference between them, as a share of the largest logit. */
  readonly difference: number
}

/** The checkpoint lies beside the checkout, if at all; the GGUF of the same model always is there. */
const sources: { source: string; path: string; near: Nearness }[] = [
  // Sums in another order turn into steps of int8 activations, which move logits by about this.
  {
    source: 'the checkpoint',
    path: checkpoint,
    near: { tie: 0.05, cosine: 0.9999, difference: 0.02 },
  },
  // Its embedding is Q8_0, rounded by 0.5 %, so it is not quite the model the results are of.
  {
    source: 'the embedded GGUF',
    path: defaultModelPath(),
    near: { tie: 0.2, cosine: 0.9998, difference: 0.04 },
  },
]
/** The reference takes a tenth of a second a token, so it runs one of them. */
const slowSource = sources.find(({ path }) => existsSync(path))

const backends: { title: string; open: (() => Backend | Promise<Backend>) | undefined }[] = [
  ...testBackends().filter(({ title }) => !title.startsWith('native-portable')),
  { title: 'reference', open: createReferenceBackend },
]

for (const { source, path, near } of sources) {
  const isMissing = !existsSync(path)
  const reason = isMissing ? ` (skipped: there is nothing at ${path})` : ''
  describe.skipIf(isMissing)(`${source}${reason}`, () => {
    for (const { title, open } of backends) {
      const isSkipped = open === undefined || (title === 'reference' && path !== slowSource?.path)
      describe.skipIf(isSkipped)(title, () => goldenTests({ path, near, title, open }))
    }
  })
}

interface Subject {
  readonly path: string
  readonly near: Nearness
  readonly title: string
  readonly open: (() => Backend | Promise<Backend>) | undefined
}

function goldenTests(subject: Subject): void {
  const { path, near, title, open } = subject
  const openHere = async (cacheType: CacheType = 'f32') => {
    if (open === undefined) throw new Error(`${title} does not run here`)
    const matmulPrecision = cacheType === 'f32' ? 'highest' : 'high'
    return openEngine(path, await open(), { head: 'f16', cacheType, matmulPrecision })
  }

  test('four sequences in one pass continue as stored', async () => {
    await using engine = await openHere()
    for (let first = 0; first < cases.length; first += 4) {
      const group = Array.from({ length: 4 }, (_, i) => cases[(first + i) % cases.length])
      await expectGreedy(subject, group, await greedy(engine, group))
    }
  })

  test.skipIf(title === 'reference')('each case alone continues as stored', async () => {
    await using engine = await openHere()
    for (const one of cases) await expectGreedy(subject, [one], await greedy(engine, [one]))
  })

  test('all logits of one case are near the stored ones', async () => {
    const { logits, stored } = await caseLogits(await openHere())
    expect(cosine(logits, stored)).toBeGreaterThanOrEqual(near.cosine)
    const limit = near.difference * largestMagnitude(stored)
    expect(largestDifference(logits, stored)).toBeLessThanOrEqual(limit)
  })

  test('keys and values as f16 move these logits little', async () => {
    const { logits, stored } = await caseLogits(await openHere('f16'))
    const largest = largestDifference(logits, stored) / largestMagnitude(stored)
    const similarity = cosine(logits, stored)
    console.info(
      `${title}, f16 cache: cosine ${similarity.toFixed(6)}, largest difference ` +
        `${(100 * largest).toFixed(2)} % of the largest logit`,
    )
    expect(similarity).toBeGreaterThanOrEqual(0.9995)
  })
}

/** All logits of the case that has them stored, and the stored ones. Disposes the engine. */
async function caseLogits(
  opened: TestEngine,
): Promise<{ logits: Float32Array; stored: Float32Array }> {
  await using engine = opened
  const { ids } = cases[LOGITS_CASE]
  const stored = readNpy(
    fileURLToPath(new URL('fixtures/golden/model-logits.npy', import.meta.url)),
  )
  expect(stored.shape).toEqual([ids.length, engine.config.vocabSize])
  const cache = engine.decoder.createCache({ slots: 1, capacity: ids.length })
  const logits = await engine.decoder.forward(cache, promptBatch(ids, 'all'))
  return { logits: logits.slice(), stored: stored.values }
}

/** Greedy continuations of all cases together, each as long as its stored one. */
async function greedy({ decoder }: TestEngine, group: readonly GoldenCase[]): Promise<number[][]> {
  const capacity = Math.max(...group.map(({ ids, greedy }) => ids.length + greedy.length))
  const cache = decoder.createCache({ slots: group.length, capacity })
  const results: number[][] = group.map(() => [])
  let pending = group.map(({ ids }, slot) => ({ slot, from: 0, tokens: ids }))
  while (pending.length > 0) {
    const batch = {
      tokens: [] as number[],
      slots: [] as number[],
      positions: [] as number[],
      logitRows: [] as number[],
    }
    for (const { slot, from, tokens } of pending) {
      batch.tokens.push(...tokens)
      batch.slots.push(...tokens.map(() => slot))
      batch.positions.push(...tokens.map((_, i) => from + i))
      batch.logitRows.push(batch.tokens.length - 1)
    }
    const logits = await decoder.forward(cache, batch)
    const vocab = logits.length / pending.length
    pending = pending.flatMap(({ slot, from, tokens }, row) => {
      const [token] = bestTwo(logits.subarray(row * vocab, (row + 1) * vocab))
      results[slot].push(token)
      const isDone = results[slot].length === group[slot].greedy.length
      return isDone ? [] : [{ slot, from: from + tokens.length, tokens: [token] }]
    })
  }
  cache.dispose()
  return results
}

/** The ids of the two largest logits, the larger first. */
function bestTwo(logits: Float32Array): [number, number] {
  let [first, second] = logits[1] > logits[0] ? [1, 0] : [0, 1]
  for (let i = 2; i < logits.length; i++) {
    if (logits[i] > logits[first]) [first, second] = [i, first]
    else if (logits[i] > logits[second]) second = i
  }
  return [first, second]
}

async function expectGreedy(
  { title, path, near }: Subject,
  group: readonly GoldenCase[],
  continuations: readonly (readonly number[])[],
): Promise<void> {
  for (const [i, { text, ids, greedy }] of group.entries()) {
    const tokens = continuations[i]
    const at = tokens.findIndex((token, step) => token !== greedy[step])
    if (at < 0) continue
    const tie = await plainTie(path, [...ids, ...greedy.slice(0, at)])
    const where = `${title}, "${text}", token ${at}: got ${tokens[at]}, stored ${greedy[at]}`
    expect([...tie.ids].sort(), where).toEqual([tokens[at], greedy[at]].sort())
    expect(tie.lead, where).toBeLessThan(near.tie)
    console.warn(`${where}; these are the two best, ${tie.lead.toFixed(4)} apart.`)
  }
}

interface Tie {
  readonly ids: readonly [number, number]
  readonly lead: number
}

const ties = new Map<string, Promise<Tie>>()

/** The two best logits after these tokens by the plain decoder; slow, so computed once. */
function plainTie(path: string, ids: readonly number[]): Promise<Tie> {
  const key = `${path} ${ids.join(' ')}`
  const tie = ties.get(key) ?? computeTie(path, ids)
  ties.set(key, tie)
  return tie
}

async function computeTie(path: string, ids: readonly number[]): Promise<Tie> {
  const { file } = await openModelFile(path)
  try {
    const config = readConfig(file)
    const logits = await plainLogits(file, config, ids, 'f32')
    const last = logits.subarray(logits.length - config.vocabSize)
    const best = bestTwo(last)
    return { ids: best, lead: last[best[0]] - last[best[1]] }
  } finally {
    await file.close()
  }
}
