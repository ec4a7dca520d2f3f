/** Loading and disposing on a GPU again and again: every buffer that was made is destroyed, and devices go. */
/// <reference types="@webgpu/types" />
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openWebGpuBackend } from '../src/backends/webgpu/webgpu-backend.ts'
import { loadEngineAt } from '../src/generate/load/loading.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { missingForGpu, softwareGpu } from './support/backends.ts'

const tiny = fileURLToPath(new URL('fixtures/tiny/bitnet-packed', import.meta.url))

/** A GPU whose devices count what is made on them and not destroyed. */
function counting(gpu: GPU) {
  const live = new Set<GPUBuffer>()
  const counts = { made: 0, left: [] as number[] }
  const requestAdapter: GPU['requestAdapter'] = async (options) => {
    const adapter = await gpu.requestAdapter(options)
    if (adapter === null) return null
    const { limits, features, info } = adapter
    const requestDevice: GPUAdapter['requestDevice'] = async (descriptor) => {
      const device = await adapter.requestDevice(descriptor)
      const [create, end] = [device.createBuffer.bind(device), device.destroy.bind(device)]
      device.createBuffer = (own) => {
        const buffer = create(own)
        const destroy = buffer.destroy.bind(buffer)
        live.add(buffer)
        counts.made++
        buffer.destroy = () => {
          live.delete(buffer)
          return destroy()
        }
        return buffer
      }
      device.destroy = () => {
        counts.left.push(live.size)
        live.clear()
        return end()
      }
      return device
    }
    return { limits, features, info, requestDevice } as unknown as GPUAdapter
  }
  const { wgslLanguageFeatures } = gpu
  return { counts, gpu: { wgslLanguageFeatures, requestAdapter } as unknown as GPU }
}

test.skipIf(missingForGpu() !== undefined)(
  'fifty loads leave no buffer behind, and give every device up',
  { timeout: 240_000 },
  async () => {
    const { counts, gpu } = counting(await softwareGpu())
    const place = {
      open: (path: string) => openModelFile(path),
      openBackend: () => openWebGpuBackend(gpu, 'webgpu-base'),
    }
    for (let i = 0; i < 50; i++) await (await loadEngineAt(place, tiny, {})).dispose()
    expect(counts.made).toBeGreaterThan(50 * 20)
    expect(counts.left).toEqual(Array(50).fill(0))
  },
)
