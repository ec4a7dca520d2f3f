/** The reference backend's own duty: giving way. What all backends do is in test/backend-contract.test.ts. */
import { expect, test } from 'vitest'
import type { Command } from '../../kernels/ops.ts'
import { createReferenceBackend } from './index.ts'

test('timers run while a long list is at work', async () => {
  const backend = createReferenceBackend()
  const x = backend.allocate(4 * 2 * 500_000, 'x')
  const out = backend.allocate(4 * 500_000, 'out')
  const silu: Command = {
    op: 'gated-activation',
    rows: 1,
    cols: 500_000,
    activation: 'silu',
    gateUp: x,
    out,
  }
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  backend.submit(await backend.record(Array.from({ length: 30 }, () => silu)))
  await backend.done()
  clearInterval(timer)
  expect(ticks).toBeGreaterThan(0)
  await backend.dispose()
})
