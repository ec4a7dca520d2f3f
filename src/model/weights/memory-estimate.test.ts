/** What is expected before loading, against what a backend holds afterwards. */
import { expect, test } from 'vitest'
import { tinyModel } from '../../../test/support/fixtures.ts'
import { createReferenceBackend } from '../../backends/reference/index.ts'
import { openModelFile } from '../../node/open-model.ts'
import { configToRun } from '../config/read-config.ts'
import { Decoder } from '../decoder.ts'
import { loadWeights } from './load-weights.ts'
import { estimateMemory } from './weight-memory.ts'

async function openTiny(name: string) {
  const { file } = await openModelFile(tinyModel(name))
  return { file, config: await configToRun(file) }
}

test.each([
  ['bitnet-packed', {}],
  ['llama-dense-bf16', { head: 'int8', kv: 'f32' }],
] as const)('%s takes what was expected for weights and a full cache', async (name, options) => {
  const { file, config } = await openTiny(name)
  const backend = createReferenceBackend()
  const weights = await loadWeights(backend, file, config, options)
  const loaded = backend.allocatedBytes
  const kv = 'kv' in options ? options.kv : undefined
  const decoder = new Decoder(backend, config, weights, { cacheType: kv })
  const positions = Math.ceil(config.contextLength / 256) * 256
  expect(estimateMemory(file, config, options)).toBe(
    loaded + positions * decoder.cacheBytesPerToken,
  )
  backend.dispose()
  await file.close()
})

test('a long context counts up to 8,192 positions, and what the cache may take in its place', async () => {
  const { file, config } = await openTiny('bitnet-packed')
  const [short, long, longer] = [8191, 8192, 131072].map((contextLength) =>
    estimateMemory(file, { ...config, contextLength }, {}),
  )
  expect(long).toBe(short)
  expect(longer).toBe(long)
  expect(estimateMemory(file, { ...config, contextLength: 4096 }, {})).toBeLessThan(short)
  const [less, more] = [100, 3000].map((cacheMemory) =>
    estimateMemory(file, config, { cacheMemory }),
  )
  expect(more - less).toBe(2900 * 2 ** 20)
  await file.close()
})
