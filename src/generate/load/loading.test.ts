/** What a model is loaded on where 'auto' chose a GPU that has no room for it. */
import { expect, test, vi } from 'vitest'
import { smallModel } from '../../../test/support/small-model.ts'
import type { Backend, BackendOptions } from '../../backends/backend.ts'
import { type BackendKind, openOneOf, PORTABLE } from '../../backends/open-portable.ts'
import { createReferenceBackend } from '../../backends/reference/index.ts'
import { BackendError, UsageError } from '../../errors.ts'
import { loadEngineAt } from './loading.ts'

/** A GPU on which nothing finds room. */
function smallGpu(error: Error): Backend {
  const backend = createReferenceBackend()
  Object.defineProperty(backend, 'name', { value: 'webgpu' })
  backend.allocate = () => {
    throw error
  }
  return backend
}

/** @param environment what Node takes from it */
function placeWith(error: Error, environment: BackendOptions = {}) {
  const asked: BackendOptions[] = []
  const gpu = smallGpu(error)
  const dispose = vi.spyOn(gpu, 'dispose')
  const opened: string[] = []
  const webgpu: BackendKind = {
    isas: /^webgpu-/,
    variants: async () => [],
    open: async () => {
      opened.push('webgpu')
      return gpu
    },
  }
  const place = {
    open: async () => ({ file: smallModel(), tokenizerFiles: {} }),
    openBackend: async (options: BackendOptions) => {
      asked.push(options)
      return openOneOf({ webgpu, reference: PORTABLE.reference }, { ...options, ...environment })
    },
  }
  return { place, asked, opened, dispose }
}

test("what does not fit on a GPU that 'auto' chose runs elsewhere, with the reason", async () => {
  vi.spyOn(console, 'warn').mockReturnValue()
  const { place, asked, dispose } = placeWith(new BackendError('There is no room.'))
  const engine = await loadEngineAt(place, 'model', {})
  expect(engine.backend.name).toBe('reference')
  expect(engine.backend.fallbacks).toEqual(['webgpu: There is no room'])
  expect(asked.map(({ without }) => without)).toEqual([undefined, { webgpu: 'There is no room.' }])
  expect(dispose).toHaveBeenCalledOnce()
  await engine.dispose()
})

test('a GPU that was asked for is never replaced, nor is the fault of a file blamed on it', async () => {
  for (const [error, options, environment] of [
    [new BackendError('There is no room.'), { backend: 'webgpu' }, {}],
    [new BackendError('There is no room.'), { isa: 'webgpu-base' }, {}],
    [new BackendError('There is no room.'), {}, { backend: 'webgpu' }],
    [new UsageError('A wrong file.'), {}, {}],
  ] as const) {
    const { place, opened, dispose } = placeWith(error, environment)
    await expect(loadEngineAt(place, 'model', options)).rejects.toThrow(error)
    expect(opened).toEqual(['webgpu'])
    expect(dispose).toHaveBeenCalled()
  }
})
