/** What a GPU that is not there, not enough or lost comes to: errors with what to do, and for good. */
/// <reference types="@webgpu/types" />
import { afterEach, describe, expect, test, vi } from 'vitest'
import { BackendError } from '../../errors.ts'
import { gpuFacts, hasRealGpu, openDevice } from './device.ts'

const LIMITS = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxStorageBuffersPerShaderStage: 8,
}

/** A GPU whose device can be lost and can complain. */
function fakeGpu({ features = ['packed_4x8_integer_dot_product'], info = {} } = {}) {
  let lose = (_: { reason: string; message: string }) => {}
  let complain = (_: { error: { message: string } }) => {}
  const asked: GPUDeviceDescriptor[] = []
  const device = {
    limits: LIMITS,
    features: new Set(),
    lost: new Promise((resolve) => {
      lose = resolve
    }),
    addEventListener: (_: string, listener: typeof complain) => {
      complain = listener
    },
    queue: { onSubmittedWorkDone: async () => undefined },
  }
  const adapter = {
    limits: LIMITS,
    features: new Set(['subgroups', 'shader-f16']),
    info: { description: 'A GPU', isFallbackAdapter: false, ...info },
    requestDevice: async (descriptor: GPUDeviceDescriptor) => {
      asked.push(descriptor)
      return device
    },
  }
  const gpu = { wgslLanguageFeatures: new Set(features), requestAdapter: async () => adapter }
  return {
    gpu: gpu as unknown as GPU,
    asked,
    lose: (reason: string, message: string) => lose({ reason, message }),
    complain: (message: string) => complain({ error: { message } }),
  }
}

afterEach(() => vi.useRealTimers())

/** What a promise comes to by the end of so many seconds; undefined: nothing yet. */
async function within(seconds: number, asked: Promise<unknown>): Promise<unknown> {
  let found: unknown
  asked.then(
    (value) => {
      found = value
    },
    (error) => {
      found = error
    },
  )
  await vi.advanceTimersByTimeAsync(1000 * seconds)
  return found
}

describe('a GPU that says nothing', () => {
  const never = () => new Promise<never>(() => {})

  test('is an error when it is opened, and none that auto takes', async () => {
    vi.useFakeTimers()
    const { gpu } = fakeGpu()
    const silent = Object.assign(Object.create(gpu), { requestAdapter: never })
    expect(await within(31, openDevice(silent))).toEqual(
      new BackendError(
        'WebGPU has not answered for 30 seconds. Restart the browser or the machine, or use another backend.',
      ),
    )
    expect(await within(31, hasRealGpu(silent))).toBe(false)
    expect(await within(31, gpuFacts(silent))).toBeInstanceOf(BackendError)
    const adapter = await gpu.requestAdapter()
    const stuck = { ...adapter, requestDevice: never }
    const half = Object.assign(Object.create(gpu), { requestAdapter: async () => stuck })
    expect(await within(31, openDevice(half))).toBeInstanceOf(BackendError)
  })

  test('is an error at work, for good, and not before it may still answer', async () => {
    vi.useFakeTimers()
    const { gpu } = fakeGpu()
    const device = await openDevice(gpu)
    device.device.queue.onSubmittedWorkDone = never
    const settling = device.settle()
    expect(await within(590, settling)).toBeUndefined()
    expect(await within(15, settling)).toMatchObject({ message: /not answered for 600 seconds/ })
    expect(() => device.check()).toThrow(BackendError)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('is lost as soon as that is told, whatever it was asked', async () => {
    const { gpu, lose } = fakeGpu()
    const device = await openDevice(gpu)
    const asked = [never(), never()].map((own) => device.answer(own))
    void device.whenLost()
    lose('unknown', 'the cable was pulled')
    for (const own of asked) await expect(own).rejects.toThrow(/was lost: the cable was pulled/)
    await expect(device.answer(never())).rejects.toThrow(/was lost/)
    // Were it not heard, the process would end.
    await expect(device.answer(Promise.reject(new Error('late')))).rejects.toThrow(/was lost/)
    expect(await (await openDevice(gpu)).answer(Promise.resolve(3))).toBe(3)
  })
})

describe('a GPU', () => {
  test('that is not there is an error with what to do', async () => {
    await expect(openDevice(undefined)).rejects.toThrow(/no WebGPU here.*another backend/)
    const empty = { requestAdapter: async () => null } as unknown as GPU
    await expect(openDevice(empty)).rejects.toThrow(/found no GPU. Install a driver/)
    const { gpu } = fakeGpu({ features: [] })
    await expect(openDevice(gpu)).rejects.toThrow(/packed_4x8_integer_dot_product.*Update/)
    await expect(openDevice(gpu)).rejects.toThrow(BackendError)
  })

  test('is asked for all that it allows, and only for features that shaders use', async () => {
    const { gpu, asked } = fakeGpu()
    const { powers, title, isSoftware } = await openDevice(gpu)
    expect(asked[0].requiredLimits).toEqual(LIMITS)
    expect(asked[0].requiredFeatures).toEqual(['subgroups', 'shader-f16'])
    expect(powers).toEqual({
      threads: 256,
      workgroupBytes: 16384,
      bindingBytes: 2 ** 27,
      int8Matrices: false,
      halfMatrices: false,
    })
    expect([title, isSoftware]).toEqual(['A GPU', false])
  })

  test('is asked for no more than every device has, where it is to do with that', async () => {
    const { gpu, asked } = fakeGpu()
    await openDevice(gpu, { isLeast: true })
    expect(asked[0].requiredLimits).toEqual({ maxStorageBuffersPerShaderStage: 8 })
    expect((await openDevice(gpu, { mostBytes: 1024 })).powers.bindingBytes).toBe(1024)
  })

  test('that is lost says so to whoever waits, and to all after it', async () => {
    const { gpu, lose } = fakeGpu()
    const device = await openDevice(gpu)
    await device.settle()
    const lost = device.whenLost()
    lose('unknown', 'the driver was restarted.')
    expect(await lost).toBe('the driver was restarted.')
    for (let i = 0; i < 2; i++) {
      await expect(device.settle()).rejects.toThrow(/was lost: the driver was restarted.*Load/)
    }
    expect(() => device.check()).toThrow(BackendError)
  })

  test('that refused a command keeps the first reason', async () => {
    const { gpu, complain } = fakeGpu()
    const device = await openDevice(gpu)
    complain('first')
    complain('second')
    await expect(device.settle()).rejects.toThrow(/refused a command: first/)
  })

  test('that was given up is not lost', async () => {
    const { gpu, lose } = fakeGpu()
    const device = await openDevice(gpu)
    let isLost = false
    void device.whenLost().then(() => {
      isLost = true
    })
    lose('destroyed', '')
    await device.settle()
    expect(isLost).toBe(false)
  })

  test('is described with its features and limits', async () => {
    expect(await gpuFacts(fakeGpu().gpu)).toEqual({
      title: 'A GPU',
      isSoftware: false,
      int8Matrices: false,
      features: ['shader-f16', 'subgroups'],
      limits: LIMITS,
    })
    const soft = fakeGpu({ info: { description: 'llvmpipe (LLVM 19)' } })
    expect(await gpuFacts(soft.gpu)).toMatchObject({ isSoftware: true })
    expect(await gpuFacts({ requestAdapter: async () => null } as unknown as GPU)).toBeUndefined()
  })
})
