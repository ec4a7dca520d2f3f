/**
 * Four checkpoints of 256 dimensions and two layers against the logits of transformers in float32:
 * packed BitNet, BitNet masters quantised on load, Llama-style ternary with inverse scales, and dense.
 *
 * The engine keeps keys and values as f16, which transformers here does not, and int8 activations make
 * steps of such small differences. So the comparison has two parts: a plain decoder with float32 keys
 * and values agrees with transformers, and the engine agrees with that decoder set to f16.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import { readConfig } from '../src/model/read-config.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { testBackends } from './backends.ts'
import { cosine, largestDifference, largestMagnitude, openEngine, promptBatch } from './engine.ts'
import { readNpy } from './npy.ts'
import { plainLogits } from './plain-decoder.ts'

/** Float32 sums of transformers and of the plain decoder run in different orders. */
const PLAIN_TOLERANCE = 2e-4

function folderOf(name: string): string {
  return fileURLToPath(new URL(`fixtures/tiny/${name}`, import.meta.url))
}

function idsOf(name: string): number[] {
  return JSON.parse(readFileSync(`${folderOf(name)}/golden.json`, 'utf8')).ids
}

async function plain(name: string, cacheType: 'f16' | 'f32'): Promise<Float32Array> {
  const { file } = await openModelFile(folderOf(name))
  try {
    return await plainLogits(file, readConfig(file), idsOf(name), cacheType)
  } finally {
    await file.close()
  }
}

const computed = new Map<string, Promise<Float32Array>>()

/** The engine's logits of all positions, on the reference backend; computed once. */
function referenceLogits(name: string, head?: 'f16' | 'int8'): Promise<Float32Array> {
  const key = `${name} ${head}`
  const logits = computed.get(key) ?? computeReferenceLogits(name, head)
  computed.set(key, logits)
  return logits
}

async function computeReferenceLogits(name: string, head?: 'f16' | 'int8'): Promise<Float32Array> {
  await using engine = await openEngine(folderOf(name), createReferenceBackend(), { head })
  const ids = idsOf(name)
  const cache = engine.decoder.createCache({ slots: 1, capacity: ids.length })
  return (await engine.decoder.forward(cache, promptBatch(ids, 'all'))).slice()
}

describe.each(['bitnet-packed', 'bitnet-bf16', 'llama-bitlinear-packed', 'llama-dense-bf16'])(
  '%s',
  (name) => {
    const golden = readNpy(`${folderOf(name)}/logits.npy`).values
    const scale = largestMagnitude(golden)

    test('a plain decoder with float32 keys and values agrees with transformers', async () => {
      expect(largestDifference(await plain(name, 'f32'), golden)).toBeLessThan(PLAIN_TOLERANCE)
    })

    test('the engine agrees with the plain decoder with f16 keys and values', async () => {
      const [engine, expected] = [await referenceLogits(name), await plain(name, 'f16')]
      const rows = idsOf(name).length
      const vocab = golden.length / rows
      const differences = Array.from({ length: rows }, (_, row) => {
        const [from, to] = [row * vocab, (row + 1) * vocab]
        return largestDifference(engine.subarray(from, to), expected.subarray(from, to))
      })
      // A value that lies between two int8 or f16 roundings may fall either way, and then moves the
      // rows that see it; that happens in few rows, and moves them little.
      const close = differences.filter((difference) => difference < 1e-4 * scale)
      expect(close.length).toBeGreaterThanOrEqual(rows - 4)
      expect(Math.max(...differences)).toBeLessThan(0.01 * scale)
    })

    test('the engine stays near transformers in spite of f16 keys and values', async () => {
      const logits = await referenceLogits(name)
      expect(cosine(logits, golden)).toBeGreaterThan(0.9995)
      expect(largestDifference(logits, golden)).toBeLessThan(0.02 * scale)
    })

    test('an int8 head moves the logits by less than its rounding can', async () => {
      const [int8, f16] = [await referenceLogits(name, 'int8'), await referenceLogits(name, 'f16')]
      expect(int8).not.toEqual(f16)
      // Half a step of 127 a weight, in sums that grow with the root of 256 terms, and a tied head
      // changes the embedding too, which int8 activations turn into steps.
      expect(cosine(int8, f16)).toBeGreaterThan(0.999)
    })

    for (const { title, open } of testBackends()) {
      test.skipIf(open === undefined)(`${title} gives the bits of the reference`, async () => {
        if (open === undefined) return
        await using engine = await openEngine(folderOf(name), open())
        const ids = idsOf(name)
        const cache = engine.decoder.createCache({ slots: 1, capacity: ids.length })
        const logits = await engine.decoder.forward(cache, promptBatch(ids, 'all'))
        expect(largestDifference(logits, await referenceLogits(name))).toBe(0)
      })
    }
  },
)
