/** What of a feed-forward is 0: against gates whose share is known, whatever form the weights have. */
import { describe, expect, test } from 'vitest'
import { everyBackend } from '../../test/support/backends.ts'
import { tinyModel } from '../../test/support/fixtures.ts'
import { smallModel } from '../../test/support/small-model.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { ContextOverflowError, UsageError } from '../errors.ts'
import { loadModel } from '../index.ts'
import { readConfig } from './config/read-config.ts'
import { measureFfnZeros } from './ffn-zeros.ts'
import { randomWeights } from './weights/random-weights.ts'

const config = {
  ...readConfig(smallModel()),
  nLayers: 2,
  ffnDim: 512,
  linear: 'ternary',
  activation: 'relu2',
} as const
const tokens = Array.from({ length: 37 }, (_, i) => (i * 11) % config.vocabSize)
const form = { projections: 'ternary', table: 'int8' } as const

describe.each([0.5, 0.8, 1])('of gates of which %d are off', (ffnSparsity) => {
  for (const { title, open } of everyBackend()) {
    // In software a GPU takes its time.
    const isLeftOut = title.includes('webgpu') && ffnSparsity !== 0.8
    test.skipIf(open === undefined || isLeftOut)(`${title} counts that share`, async () => {
      const backend = await open?.()
      if (backend === undefined) return
      try {
        const forms = [{ isSparse: false }, { isSparse: true, packing: 'base3' }] as const
        for (const own of backend.name === 'webgpu' ? forms.slice(0, 1) : forms) {
          const options = { packing: '2bit', ...form, ...own, ffnSparsity } as const
          const weights = await randomWeights(backend, config, options)
          const layers = await measureFfnZeros(backend, config, weights, tokens)
          weights.dispose()
          expect(layers.map(({ layer }) => layer)).toEqual([0, 1])
          for (const { gates, inputs } of layers) {
            // Pairs of opposites whose sum is 0 are both off.
            expect(gates).toBeGreaterThan(ffnSparsity - 0.004)
            expect(gates).toBeLessThan(ffnSparsity + 0.01)
            expect(inputs).toBeGreaterThanOrEqual(gates)
          }
        }
        expect(backend.allocatedBytes).toBe(0)
      } finally {
        await backend.dispose()
      }
    })
  }
})

test('without a share, chance leaves about half of them off', async () => {
  const backend = createReferenceBackend()
  const weights = await randomWeights(backend, config, { ...form, packing: '2bit' })
  for (const { gates } of await measureFfnZeros(backend, config, weights, tokens)) {
    expect(gates).toBeGreaterThan(0.4)
    expect(gates).toBeLessThan(0.6)
  }
  const other = { ...config, activation: 'silu' } as const
  await expect(measureFfnZeros(backend, other, weights, tokens)).rejects.toThrow(UsageError)
})

test('a loaded model counts for a text, beside generations, and is unchanged by it', async () => {
  await using model = await loadModel(tinyModel('bitnet-packed'), { backend: 'reference' })
  const generate = async () =>
    (await model.generate('a b c', { temperature: 0, maxTokens: 4 }).result).text
  const before = await generate()
  const [zeros, during] = await Promise.all([model.ffnZeros('a b c d e f'), generate()])
  expect(zeros).toHaveLength(model.config.nLayers)
  expect(zeros.every(({ gates, inputs }) => gates > 0 && gates < 1 && inputs >= gates)).toBe(true)
  expect(during).toBe(before)
  const long = 'a '.repeat(model.config.contextLength + 10)
  await expect(model.ffnZeros(long)).rejects.toThrow(ContextOverflowError)
  await expect(model.ffnZeros('a', { signal: AbortSignal.abort() })).rejects.toThrow('aborted')
})
