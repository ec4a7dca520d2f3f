/**
 * Opens the backend that a model is to run on, in Node: as backends/select.ts does, but that 'auto' takes a real GPU
 * where it was measured to be faster for a model of this size.
 */
import type { Backend, BackendOptions } from '../backends/backend.ts'
import { openBackend } from '../backends/select.ts'
import { BackendError } from '../errors.ts'
import { gpuChoice } from './gpu/gpu-choice.ts'

/** @throws BackendError | UsageError as `openBackend` does */
export async function openBestBackend(
  options: BackendOptions = {},
  choose: typeof gpuChoice = gpuChoice,
): Promise<Backend> {
  const { expectedBytes } = options
  if (expectedBytes === undefined || !isOpen(options)) return openBackend(options)
  if (!(await choose(expectedBytes)).isFaster) return openBackend(options)
  try {
    return await openBackend({ ...options, backend: 'webgpu' })
  } catch (error) {
    if (!(error instanceof BackendError)) throw error
    return openBackend({ ...options, without: { ...options.without, webgpu: error.message } })
  }
}

/** Whether nothing is asked for that processors have: a variant, threads, a module. */
function isOpen({ backend, isa, threads, wasm, without }: BackendOptions): boolean {
  const { BITNET_BACKEND, BITNET_ISA } = process.env
  const asked = backend ?? (BITNET_BACKEND || 'auto')
  const named = [isa ?? (BITNET_ISA || undefined), threads, wasm, without?.webgpu]
  return asked === 'auto' && named.every((own) => own === undefined)
}
