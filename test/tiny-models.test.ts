/**
 * Four checkpoints of 256 dimensions and two layers against the logits of transformers in float32:
 * packed BitNet, BitNet masters quantised on load, Llama-style ternary with inverse scales, and dense.
 *
 * Int8 activations turn the smallest difference into a step: a value that lies between two roundings
 * may fall either way. So a plain decoder stands between: it agrees with transformers, and the engine
 * agrees with it, with keys and values as float32 or as f16.
 */

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Backend } from '../src/backends/backend.ts'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import { readConfig } from '../src/model/config/read-config.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { testBackends } from './support/backends.ts'
import {
  cosine,
  largestDifference,
  largestMagnitude,
  openEngine,
  promptBatch,
} from './support/engine.ts'
import { tinyModel } from './support/fixtures.ts'
import { readNpy } from './support/npy.ts'
import { plainLogits } from './support/plain-decoder.ts'
import { sequencesOf } from './support/sequences.ts'

/** Float32 sums of transformers and of the plain decoder run in different orders. */
const PLAIN_TOLERANCE = 2e-4

function idsOf(name: string): number[] {
  return JSON.parse(readFileSync(`${tinyModel(name)}/golden.json`, 'utf8')).ids
}

async function plain(name: string, cacheType: 'f16' | 'f32'): Promise<Float32Array> {
  const { file } = await openModelFile(tinyModel(name))
  try {
    return await plainLogits(file, readConfig(file), idsOf(name), cacheType)
  } finally {
    await file.close()
  }
}

type EngineOptions = Parameters<typeof openEngine>[2]

/** Keys and values as transformers has them here, and nothing rounded for speed. */
const EXACT: EngineOptions = { cacheType: 'f32', matmulPrecision: 'highest' }
/** As models run where nothing is said. */
const USUAL: EngineOptions = { cacheType: 'f16', matmulPrecision: 'high' }

const computed = new Map<string, Promise<Float32Array>>()

/** The engine's logits of all positions, on the reference backend; computed once. */
function referenceLogits(name: string, options: EngineOptions = {}): Promise<Float32Array> {
  const exact = { ...EXACT, ...options }
  const key = `${name} ${JSON.stringify(exact)}`
  const logits = computed.get(key) ?? engineLogits(name, createReferenceBackend(), exact)
  computed.set(key, logits)
  return logits
}

async function engineLogits(
  name: string,
  backend: Backend,
  options: EngineOptions,
): Promise<Float32Array> {
  await using engine = await openEngine(tinyModel(name), backend, options)
  const ids = idsOf(name)
  const cache = sequencesOf(engine.decoder, { slots: 1, capacity: ids.length })
  return (await engine.decoder.forward(cache.place(promptBatch(ids, 'all')))).slice()
}

describe.each(['bitnet-packed', 'bitnet-bf16', 'llama-bitlinear-packed', 'llama-dense-bf16'])(
  '%s',
  (name) => {
    const golden = readNpy(`${tinyModel(name)}/logits.npy`).values
    const scale = largestMagnitude(golden)

    test('a plain decoder with float32 keys and values agrees with transformers', async () => {
      expect(largestDifference(await plain(name, 'f32'), golden)).toBeLessThan(PLAIN_TOLERANCE)
    })

    test.each(['f32', 'f16'] as const)(
      'the engine agrees with the plain decoder with %s keys and values',
      async (cacheType) => {
        const engine = await referenceLogits(name, cacheType === 'f16' ? USUAL : EXACT)
        const expected = await plain(name, cacheType)
        const rows = idsOf(name).length
        const vocab = golden.length / rows
        const differences = Array.from({ length: rows }, (_, row) => {
          const [from, to] = [row * vocab, (row + 1) * vocab]
          return largestDifference(engine.subarray(from, to), expected.subarray(from, to))
        })
        // Few rows see a value that fell the other way, and it moves them little. What multiplies halves
        // is rounded to 13 bits, of dense weights everything, so that all rows see some.
        const near = cacheType === 'f16' ? 4e-4 : 1e-4
        const close = differences.filter((difference) => difference < near * scale)
        expect(close.length).toBeGreaterThanOrEqual(rows - 4)
        expect(Math.max(...differences)).toBeLessThan(0.01 * scale)
      },
    )

    test('the engine agrees with transformers', async () => {
      expect(largestDifference(await referenceLogits(name), golden)).toBeLessThan(PLAIN_TOLERANCE)
    })

    test('a float32 cache alone leaves dense products rounded for speed', async () => {
      const rounded = await referenceLogits(name, { matmulPrecision: 'high' })
      const whole = await referenceLogits(name)
      expect(rounded).not.toEqual(whole)
      expect(cosine(rounded, whole)).toBeGreaterThan(0.999)
    })

    test('an int8 head moves the logits by less than its rounding can', async () => {
      const [int8, f16] = [
        await referenceLogits(name, { head: 'int8' }),
        await referenceLogits(name, { head: 'f16' }),
      ]
      expect(int8).not.toEqual(f16)
      // Half a step of 127 a weight, in sums that grow with the root of 256 terms, and a tied head
      // changes the embedding too, which int8 activations turn into steps.
      expect(cosine(int8, f16)).toBeGreaterThan(0.999)
    })

    for (const { title, open } of testBackends()) {
      test.skipIf(open === undefined)(`${title} gives the bits of the reference`, async () => {
        if (open === undefined) return
        await using engine = await openEngine(tinyModel(name), await open(), EXACT)
        const ids = idsOf(name)
        const cache = sequencesOf(engine.decoder, { slots: 1, capacity: ids.length })
        const logits = await engine.decoder.forward(cache.place(promptBatch(ids, 'all')))
        expect(largestDifference(logits, await referenceLogits(name))).toBe(0)
      })
    }
  },
)
