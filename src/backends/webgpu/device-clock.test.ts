/** What a GPU says of its work: dispatches, and their time where it has a clock. */
/// <reference types="@webgpu/types" />
import { describe, expect, test } from 'vitest'
import { missingForGpu, openSoftwareGpu } from '../../../test/support/backends.ts'
import { ternaryCase } from '../../bench/kernel-cases.ts'
import { timeCommands } from '../../bench/pass-timing.ts'
import { DeviceClock } from './device-clock.ts'

describe.skipIf(missingForGpu() !== undefined)('the GPU in software', () => {
  test('counts what runs while it is watched, and times it', { timeout: 60_000 }, async () => {
    const backend = await openSoftwareGpu('webgpu-base')
    const watch = backend.watch?.bind(backend)
    if (watch === undefined) throw new Error('It tells nothing.')
    const product = ternaryCase({ name: 'down', rows: 256, cols: 256 }, 1)
    const began = performance.now()
    const work = await watch(async () => {
      await timeCommands(
        backend,
        (allocate) => Array.from({ length: 3 }, product.prepare(allocate)),
        {
          ...{ budgetMs: 0, least: 4 },
        },
      )
    })
    const tookSeconds = (performance.now() - began) / 1000
    // One pass that is not counted, and four.
    expect(work.dispatches).toBe(15)
    expect(work.seconds).toBeGreaterThan(0)
    expect(work.seconds).toBeLessThan(tookSeconds)
    // Nothing of that is in what comes next.
    expect(await watch(async () => {})).toEqual({ dispatches: 0, seconds: 0 })
    await backend.dispose()
  })
})

test('a GPU without timestamps counts alone', async () => {
  const clock = new DeviceClock({ features: new Set() } as unknown as GPUDevice)
  clock.start()
  expect(clock.ofPass()).toBeUndefined()
  clock.count([{ pipeline: 0, bindGroup: 0, workgroups: [1, 1] } as never, { from: 0 } as never])
  expect(await clock.stop()).toEqual({ dispatches: 1 })
  clock.count([{ pipeline: 0 } as never])
  expect(await clock.stop()).toEqual({ dispatches: 1 })
})
