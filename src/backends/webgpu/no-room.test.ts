/** A GPU without room says so once, by name, and goes on. */
/// <reference types="@webgpu/types" />
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { missingForGpu, softwareGpu } from '../../../test/support/backends.ts'
import { BackendError } from '../../errors.ts'
import { sliceOf } from '../../kernels/slice.ts'
import type { Backend } from '../backend.ts'
import { BASE_ISA, openWebGpuBackend } from './webgpu-backend.ts'

const FULL = 'too much'

/** The GPU in software, which has no room for what is called so: its buffer is one that Dawn refuses. */
async function fullGpu(): Promise<GPU> {
  const gpu = await softwareGpu()
  const requestDevice = async (adapter: GPUAdapter, descriptor?: GPUDeviceDescriptor) => {
    const device = await adapter.requestDevice(descriptor)
    const createBuffer = device.createBuffer.bind(device)
    const popErrorScope = device.popErrorScope.bind(device)
    let isFull = false
    device.createBuffer = (wanted) => {
      if (wanted.label !== FULL) return createBuffer(wanted)
      device.pushErrorScope('validation')
      const refused = createBuffer({ ...wanted, size: 2 ** 50 })
      void popErrorScope()
      isFull = true
      return refused
    }
    device.popErrorScope = async () => {
      const error = isFull ? ({ message: 'no room' } as GPUError) : undefined
      isFull = false
      const own = await popErrorScope()
      return error ?? own
    }
    return device
  }
  const requestAdapter = async (options?: GPURequestAdapterOptions) => {
    const adapter = (await gpu.requestAdapter(options)) as GPUAdapter
    const { info, limits, features } = adapter
    const request = (descriptor?: GPUDeviceDescriptor) => requestDevice(adapter, descriptor)
    return { info, limits, features, requestDevice: request }
  }
  return { wgslLanguageFeatures: gpu.wgslLanguageFeatures, requestAdapter } as unknown as GPU
}

describe.skipIf(missingForGpu() !== undefined)('a GPU without room', () => {
  let backend: Backend
  const said: string[] = []

  beforeEach(async () => {
    said.length = 0
    for (const name of ['log', 'info', 'warn', 'error'] as const) {
      vi.spyOn(console, name).mockImplementation((...all) => void said.push(all.join(' ')))
    }
    backend = await openWebGpuBackend(await fullGpu(), BASE_ISA)
  }, 60_000)
  afterEach(async () => {
    await backend.dispose()
    vi.restoreAllMocks()
  })

  const expected = /Expected room for 4000000 bytes of "too much" on the GPU.*smaller model/
  const bytes = new Uint8Array(4_000_000).fill(1)

  test('says what for, however it is asked, and nothing else', async () => {
    const own = backend.allocate(bytes.byteLength, FULL)
    backend.write(own, 0, bytes)
    backend.write(own, 1, bytes.subarray(0, 2))
    await expect(backend.ready()).rejects.toThrow(expected)
    await expect(backend.ready()).rejects.toThrow(BackendError)
    await expect(backend.read(own)).rejects.toThrow(expected)
    const x = backend.allocate(64, 'x')
    const out = sliceOf(own, 0, 64)
    await expect(
      backend.record([{ op: 'axpy', rows: 1, cols: 16, scale: 1, x, out }]),
    ).rejects.toThrow(expected)
    await backend.done()
    expect(said).toEqual([])
  })

  test('has room again when that is given up', async () => {
    const own = backend.allocate(bytes.byteLength, FULL)
    backend.write(own, 0, bytes)
    await expect(backend.ready()).rejects.toThrow(expected)
    backend.free(own)
    await backend.ready()
    const small = backend.allocate(16, 'small')
    backend.write(small, 0, bytes.subarray(0, 16))
    expect([...(await backend.read(small))]).toEqual(Array(16).fill(1))
    expect(said).toEqual([])
  })
})
