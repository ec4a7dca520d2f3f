/**
 * The limits on whatever this machine has. How fast it is cannot be tested; that every variant has the
 * two operations, that rates follow from the clock, and that nothing stays allocated can.
 */
import { expect, test } from 'vitest'
import { everyBackend } from '../../test/support/backends.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { openBackend } from '../backends/select.ts'
import { measureLimits } from './machine-limits.ts'

/** A clock that moves by so many milliseconds each time it is read. */
function tickingClock(step: number): () => number {
  let time = 0
  return () => {
    time += step
    return time
  }
}

for (const { title, open } of everyBackend()) {
  test.skipIf(open === undefined)(`${title} measures both limits and frees all`, async () => {
    const backend = await open?.()
    if (backend === undefined) return
    try {
      const before = backend.allocatedBytes
      const now = tickingClock(10)
      const limits = await measureLimits(backend, { readBytes: 3 << 20, budgetMs: 0, now })
      // Every pass takes one tick, a hundredth of a second.
      expect(limits?.readBytesPerSecond).toBeCloseTo((3 << 20) * 100, 0)
      expect(limits?.macsPerSecond).toBeCloseTo(1024 * backend.threads * (1 << 20) * 100, 0)
      expect(backend.allocatedBytes).toBe(before)
    } finally {
      backend.dispose()
    }
  })
}

test('passes that are too short to be timed are made of several', async () => {
  const backend = await openBackend({ threads: 1 })
  const limits = await measureLimits(backend, {
    readBytes: 3 << 20,
    budgetMs: 0,
    now: tickingClock(1),
  })
  expect(limits?.readBytesPerSecond).toBeCloseTo(5 * (3 << 20) * 1000, 0)
  await backend.dispose()
})

test('the reference backend has no such operations', async () => {
  const backend = createReferenceBackend()
  expect(await measureLimits(backend)).toBeUndefined()
  backend.dispose()
})
