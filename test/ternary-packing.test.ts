/** A model gives the same bits whichever layout its ternary weights have in memory. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import { choosePacking } from '../src/model/weights/ternary-packing.ts'
import { testBackends } from './support/backends.ts'
import { openEngine, promptBatch } from './support/engine.ts'

const folder = fileURLToPath(new URL('fixtures/tiny/bitnet-packed', import.meta.url))
const ids = [507, 201, 225, 307, 179, 253, 127]

const backends = [{ title: 'reference', open: createReferenceBackend }, ...testBackends()]

for (const { title, open } of backends) {
  test.skipIf(open === undefined)(
    `${title}: 1.6 bits a weight give the logits of 2 bits`,
    async () => {
      if (open === undefined) return
      const results = []
      for (const weights of ['2bit', 'base3'] as const) {
        await using engine = await openEngine(folder, await open(), { weights })
        const cache = engine.decoder.createCache({ slots: 1, capacity: 16 })
        results.push((await engine.decoder.forward(cache, promptBatch(ids, 'all'))).slice())
      }
      expect(results[1]).toEqual(results[0])
    },
  )
}

test('a layout that is asked for is taken, and small models stay at 2 bits', async () => {
  const backend = createReferenceBackend()
  expect(await choosePacking(backend, 'base3', 1)).toBe('base3')
  expect(await choosePacking(backend, 'auto', 1)).toBe('2bit')
  expect(await choosePacking(backend, 'auto', 2 ** 40)).toBe('2bit')
})
