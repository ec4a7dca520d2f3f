import { expect, test } from 'vitest'
import { inTurns } from './turns.ts'

/** A step that keeps the thread busy, as encoding a long text does. */
function busyFor(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

test('long work lets timers run between its steps, and keeps its order', async () => {
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  const doubled = await inTurns([1, 2, 3, 4, 5, 6], function* (n) {
    busyFor(25)
    yield
    return 2 * n
  })
  clearInterval(timer)
  expect(doubled).toEqual([2, 4, 6, 8, 10, 12])
  expect(ticks).toBeGreaterThan(0)
})

test('an abort between two steps ends it with the reason', async () => {
  const controller = new AbortController()
  setTimeout(() => controller.abort(new Error('enough')), 5)
  let steps = 0
  const work = inTurns(
    Array.from({ length: 10_000 }),
    function* () {
      steps++
      busyFor(5)
      yield
    },
    controller.signal,
  )
  await expect(work).rejects.toThrow('enough')
  expect(steps).toBeLessThan(10_000)
})
