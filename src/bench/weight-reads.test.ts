/** Reading a model's weights on whatever this machine has; see machine-limits.test.ts. */
import { expect, test } from 'vitest'
import { testBackends } from '../../test/support/backends.ts'
import type { Backend } from '../backends/backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import type { DecoderWeights } from '../model/forward.ts'
import { openWeightReader } from './weight-reads.ts'

const MIB = 1 << 20

/** One layer of four dense matrices of so many bytes each; nothing else of it is looked at. */
function layerOf(backend: Backend, bytes: number): Pick<DecoderWeights, 'layers'> {
  const norm = backend.allocate(64, 'norm', 'weights')
  const projection = () => ({
    kind: 'dense' as const,
    matrix: {
      type: 'f16' as const,
      rows: 16,
      cols: bytes / 32,
      data: backend.allocate(bytes, 'matrix', 'weights'),
      scales: undefined,
    },
  })
  const norms = { attentionNorm: norm, attentionSubNorm: undefined, ffnNorm: norm }
  const projections = { qkv: projection(), output: projection(), gateUp: projection() }
  return { layers: [{ ...norms, ...projections, down: projection(), ffnSubNorm: undefined }] }
}

for (const { title, open } of testBackends()) {
  test.skipIf(open === undefined)(`${title} reads all whole MiB of the weights`, async () => {
    const backend = await open?.()
    if (backend === undefined) return
    try {
      const weights = layerOf(backend, 2.5 * MIB)
      const before = backend.allocatedBytes
      let time = 0
      {
        const now = () => time++
        using reader = await openWeightReader(backend, weights, { leastBytes: 0, now })
        // A pass takes one tick, a thousandth of a second.
        expect(await reader?.measure()).toBe(4 * 2 * MIB * 1000)
      }
      expect(backend.allocatedBytes).toBe(before)
    } finally {
      backend.dispose()
    }
  })

  test.skipIf(open === undefined)(`${title} leaves weights that caches may hold`, async () => {
    const backend = await open?.()
    if (backend === undefined) return
    try {
      expect(await openWeightReader(backend, layerOf(backend, 2 * MIB))).toBeUndefined()
    } finally {
      backend.dispose()
    }
  })
}

test('the reference backend has no such operation', async () => {
  const backend = createReferenceBackend()
  expect(await openWeightReader(backend, { layers: [] }, { leastBytes: 0 })).toBeUndefined()
  backend.dispose()
})
