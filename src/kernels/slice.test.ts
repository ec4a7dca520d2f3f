/** Operations whose operands are slices of one buffer, on every backend. */

import { afterAll, expect, test } from 'vitest'
import { conformanceCases } from '../../test/support/all-cases.ts'
import { everyBackend } from '../../test/support/backends.ts'
import { inArena, isExact, isRefused, runCase } from '../../test/support/conformance.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { operationNames } from './commands.ts'

const reference = createReferenceBackend()
const backends = await Promise.all(
  everyBackend().map(async ({ title, open }) => ({ title, backend: await open?.() })),
)

afterAll(() => {
  for (const { backend } of backends) backend?.dispose()
})

function isEqual(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0
}

test.each(operationNames)('%s gives the same in an arena as in buffers of its own', async (op) => {
  for (const { name, create } of conformanceCases[op].slice(0, 3)) {
    const data = create()
    const expected = await runCase(reference, data)
    for (const { title, backend } of [{ title: 'reference', backend: reference }, ...backends]) {
      if (backend === undefined || isRefused(backend, data)) continue
      const got = await runCase(backend, data, inArena)
      // Where floats are only near the reference's they are still the same in both places.
      const isSame = backend.rounding !== 'own' && isExact(op)
      const wanted = isSame ? expected : await runCase(backend, data)
      const differing = [...wanted].filter(([key, bytes]) => !isEqual(bytes, got.get(key)))
      expect(
        differing.map(([key]) => key),
        `${name} on ${title}`,
      ).toEqual([])
    }
  }
})
