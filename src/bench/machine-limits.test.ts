/**
 * The limits on whatever this machine has. How fast it is cannot be tested; that every variant has the
 * two operations, that rates follow from the clock, and that nothing stays allocated can.
 */
import { expect, test } from 'vitest'
import { everyBackend } from '../../test/support/backends.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { measureLimits } from './machine-limits.ts'

/** A clock that moves by one millisecond each time it is read. */
function tickingClock(): () => number {
  let time = 0
  return () => time++
}

for (const { title, open } of everyBackend()) {
  test.skipIf(open === undefined)(`${title} measures both limits and frees all`, async () => {
    const backend = await open?.()
    if (backend === undefined) return
    try {
      const before = backend.allocatedBytes
      const now = tickingClock()
      const limits = await measureLimits(backend, { readBytes: 3 << 20, budgetMs: 0, now })
      // Every pass takes one tick, a thousandth of a second.
      expect(limits?.readBytesPerSecond).toBe((3 << 20) * 1000)
      expect(limits?.macsPerSecond).toBe(1024 * backend.threads * (1 << 20) * 1000)
      expect(backend.allocatedBytes).toBe(before)
    } finally {
      backend.dispose()
    }
  })
}

test('the reference backend has no such operations', async () => {
  const backend = createReferenceBackend()
  expect(await measureLimits(backend)).toBeUndefined()
  backend.dispose()
})
