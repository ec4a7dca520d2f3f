/** What a model is loaded on where 'auto' chose a GPU that has no room for it. */
import { expect, test, vi } from 'vitest'
import { smallModel } from '../../../test/support/small-model.ts'
import type { Backend, BackendOptions } from '../../backends/backend.ts'
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

function placeWith(error: Error) {
  const asked: BackendOptions[] = []
  const gpu = smallGpu(error)
  const dispose = vi.spyOn(gpu, 'dispose')
  const place = {
    open: async () => ({ file: smallModel(), tokenizerFiles: {} }),
    openBackend: async (options: BackendOptions) => {
      asked.push(options)
      return asked.length === 1 ? gpu : createReferenceBackend()
    },
  }
  return { place, asked, dispose }
}

test("what does not fit on a GPU that 'auto' chose runs elsewhere, with the reason", async () => {
  const { place, asked, dispose } = placeWith(new BackendError('There is no room.'))
  const engine = await loadEngineAt(place, 'model', {})
  expect(engine.backend.name).toBe('reference')
  expect(asked.map(({ without }) => without)).toEqual([undefined, { webgpu: 'There is no room' }])
  expect(dispose).toHaveBeenCalledOnce()
  await engine.dispose()
})

test('a GPU that was asked for is never replaced, nor is the fault of a file blamed on it', async () => {
  for (const [error, options] of [
    [new BackendError('There is no room.'), { backend: 'webgpu' }],
    [new BackendError('There is no room.'), { isa: 'webgpu-base' }],
    [new UsageError('A wrong file.'), {}],
  ] as const) {
    const { place, asked, dispose } = placeWith(error)
    await expect(loadEngineAt(place, 'model', options)).rejects.toThrow(error.message)
    expect(asked).toHaveLength(1)
    expect(dispose).toHaveBeenCalled()
  }
})
