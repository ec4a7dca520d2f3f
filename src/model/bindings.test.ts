/** A device that binds little: contexts, passes and logits keep to it, or are refused with what to do. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingForGpu, softwareGpu } from '../../test/support/backends.ts'
import { smallModel } from '../../test/support/small-model.ts'
import type { Backend } from '../backends/backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { BASE_ISA, openWebGpuBackend } from '../backends/webgpu/webgpu-backend.ts'
import { ContextOverflowError } from '../errors.ts'
import { keyCacheByteLength, valueCacheByteLength } from '../kernels/attention/layout.ts'
import type { ModelConfig } from './config/config.ts'
import { readConfig } from './config/read-config.ts'
import { Decoder } from './decoder.ts'
import { passesOf } from './pass-rows.ts'
import { loadWeights } from './weights/load-weights.ts'

const file = smallModel()
const config: ModelConfig = { ...readConfig(file), contextLength: 4096 }
const { nKvHeads, headDim, ffnDim, vocabSize } = config
const shape = { type: 'f16', blocks: 1, nKvHeads, headDim } as const
const BLOCK = Math.max(keyCacheByteLength(shape), valueCacheByteLength(shape))
/** Room for three blocks of a layer's keys, and a little. */
const MOST = 3 * BLOCK + 100
const text = (count: number) => Array.from({ length: count }, (_, i) => (7 * i) % vocabSize)

async function lastLogits(decoder: Decoder, tokens: readonly number[]): Promise<number[]> {
  const opened = decoder.cache.open([], tokens.length)
  if (opened === undefined) throw new Error('There is no room.')
  let logits: number[] = []
  for (const rows of passesOf(decoder.maxRows, opened.slot, tokens, 0, true)) {
    logits = [...(await decoder.forward(rows))]
  }
  decoder.cache.close(opened.slot, [])
  return logits
}

describe('a decoder', () => {
  let whole: Backend
  let small: Backend

  beforeAll(() => {
    whole = createReferenceBackend()
    small = Object.assign(createReferenceBackend(), { largestOperand: MOST })
  })
  afterAll(() => Promise.all([whole.dispose(), small.dispose()]))

  const open = async (backend: Backend, own = config, cacheMemory?: number) => {
    const weights = await loadWeights(backend, file, own)
    return new Decoder(backend, own, weights, { cacheMemory })
  }

  test('has contexts that can be bound, and the bits of any other', async () => {
    const decoder = await open(small)
    expect(decoder.cache.capacity).toBe(768)
    expect((await open(whole)).cache.capacity).toBe(4096)
    const tokens = text(700)
    expect(await lastLogits(decoder, tokens)).toEqual(await lastLogits(await open(whole), tokens))
    expect(() => decoder.cache.open([], 769)).toThrow(ContextOverflowError)
    expect(() => decoder.cache.open([], 769)).toThrow(
      /at most 768 positions.*a GPU's bindings have room for, got 769. Shorten the prompt/,
    )
  })

  test('has no more blocks for being given more memory', async () => {
    expect((await open(small, config, 2 ** 30)).cache.capacity).toBe(768)
    // And fewer for less.
    const blocks = 2 * config.nLayers * 2 * BLOCK
    expect((await open(small, config, blocks)).cache.capacity).toBeLessThanOrEqual(512)
  })

  test('has passes whose widest activations can be bound', async () => {
    const widest = 2 * ffnDim * 4
    const narrow = Object.assign(createReferenceBackend(), { largestOperand: 20 * widest + 3 })
    expect((await open(narrow)).maxRows).toBe(20)
    await narrow.dispose()
    expect((await open(whole)).maxRows).toBe(128)
  })

  test('has room for logits that can be bound, unless more are wanted at once', async () => {
    const allocated: number[] = []
    const backend = createReferenceBackend()
    const allocate = backend.allocate.bind(backend)
    backend.allocate = (byteLength, label, ...more) => {
      if (label === 'logits') allocated.push(byteLength / (4 * vocabSize))
      return allocate(byteLength, label, ...more)
    }
    Object.assign(backend, { largestOperand: 5 * 4 * vocabSize + 3 })
    const weights = await loadWeights(backend, file, config)
    const decoder = new Decoder(backend, config, weights, { maxRows: 128 })
    const opened = decoder.cache.open([], 200)
    const run = (count: number) =>
      decoder.forward({
        tokens: text(count),
        slots: text(count).map(() => opened?.slot ?? 0),
        positions: Array.from({ length: count }, (_, i) => i),
        logitRows: Array.from({ length: count }, (_, i) => i),
      })
    // Twice 3 would be 6, of which no more than 5 can be bound.
    for (const count of [3, 4]) await run(count)
    expect(allocated).toEqual([1, 3, 5])
    await backend.dispose()
  })
})

describe.skipIf(missingForGpu() !== undefined)('a GPU in software that binds little', () => {
  test('runs in the contexts that it can bind', { timeout: 120_000 }, async () => {
    const gpu = await softwareGpu()
    const backend = await openWebGpuBackend(gpu, BASE_ISA, [], { mostBytes: BLOCK + 100 })
    const decoder = new Decoder(backend, config, await loadWeights(backend, file, config))
    expect(decoder.cache.capacity).toBe(256)
    const reference = createReferenceBackend()
    const own = new Decoder(reference, config, await loadWeights(reference, file, config))
    const [got, expected] = [await lastLogits(decoder, text(140)), await lastLogits(own, text(140))]
    const largest = Math.max(...expected.map(Math.abs))
    for (const [i, value] of expected.entries()) {
      expect(Math.abs(got[i] - value)).toBeLessThan(0.01 * largest)
    }
    await backend.dispose()
    await reference.dispose()
  })
})
