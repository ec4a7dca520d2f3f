/** That a variant which is asked for is the one whose kernels run, and no other. */
import { describe, expect, test } from 'vitest'
import { BackendError } from '../../errors.ts'
import type { KernelVariant } from '../list-backend.ts'
import { nativeVariants, openNativeBackend } from './native-backend.ts'

/** None where the addon is not built; REQUIRE_BACKENDS makes that a failure elsewhere. */
function variantsHere(): KernelVariant[] {
  try {
    return nativeVariants()
  } catch {
    return []
  }
}

const variants = variantsHere()

describe.each(variants)('$isa', ({ isa, supported }) => {
  test.runIf(supported)('runs when it is forced', async () => {
    const backend = openNativeBackend({ isa, threads: 2 })
    try {
      expect(backend.ranIsa).toBeNull()
      const buffer = backend.allocate(16, 'x')
      const index = backend.allocateIndices(1, [{ name: 'row', limit: 1 }], 'index')
      const out = backend.allocate(16, 'out')
      backend.submit(
        await backend.record([{ op: 'gather-rows', rows: 1, cols: 4, x: buffer, index, out }]),
      )
      await backend.done()
      expect(backend.ranIsa).toBe(isa)
      expect(backend.isa).toBe(isa)
    } finally {
      backend.dispose()
    }
  })

  test.runIf(!supported)('is refused with what the machine lacks', () => {
    expect(() => openNativeBackend({ isa })).toThrow(BackendError)
    expect(() => openNativeBackend({ isa })).toThrow('this machine has no')
  })
})

test.skipIf(variants.length === 0)('the fastest variant that runs here is taken unasked', () => {
  const backend = openNativeBackend({ threads: 1 })
  expect(backend.isa).toBe(variants.find(({ supported }) => supported)?.isa)
  backend.dispose()
})
