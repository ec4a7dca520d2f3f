/** What a driver refuses is an error of that shader alone. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingForGpu, softwareGpu } from '../../../test/support/backends.ts'
import { BackendError } from '../../errors.ts'
import { type GpuDevice, openDevice } from './device.ts'
import type { Job } from './jobs.ts'
import { Pipelines } from './pipelines.ts'

describe.skipIf(missingForGpu() !== undefined)('a shader', () => {
  let gpu: GpuDevice

  beforeAll(async () => {
    gpu = await openDevice(await softwareGpu())
  })

  afterAll(() => gpu.device.destroy())

  test.each([
    ['more invocations than the device has', { THREADS: 2 ** 20 }],
    ['text that is no WGSL', { COLS: -1 }],
  ])('of %s is refused with its name, and others still compile', async (_, constants) => {
    const pipelines = new Pipelines(gpu.device)
    const job: Job = {
      shader: 'quantize/tuned',
      integers: [],
      floats: [],
      bindings: [],
      written: [false, false, true, true, true],
      workgroups: [1, 1],
    }
    const refused = pipelines.of({ ...job, constants })
    await expect(refused).rejects.toThrow(BackendError)
    await expect(refused).rejects.toThrow(/refused the shader quantize\/tuned, .*: .+/)
    await gpu.settle()
    await expect(pipelines.of(job)).resolves.toHaveProperty('pipeline')
  })
})
