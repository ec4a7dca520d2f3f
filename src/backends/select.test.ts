/**
 * Which backend is chosen, and that what is asked for by name is never replaced.
 */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { BackendError, UsageError } from '../errors.ts'
import { type BackendKind, openOneOf, openPortableBackend, PORTABLE } from './open-portable.ts'
import { createReferenceBackend } from './reference/index.ts'
import { openBackend } from './select.ts'

afterEach(() => {
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
})

/** A native backend that was not built. */
const NO_NATIVE: BackendKind = {
  isas: /^x86/,
  variants: async () => [],
  open: async () => {
    throw new BackendError('no addon.')
  },
}

async function opened(options: Parameters<typeof openBackend>[0]) {
  const backend = await openBackend(options)
  const { name, isa, description } = backend
  await backend.dispose()
  return { name, isa, description }
}

describe('openBackend', () => {
  test('opens what is asked for by name', async () => {
    expect(await opened({ backend: 'wasm', threads: 1 })).toMatchObject({ name: 'wasm' })
    expect(await opened({ backend: 'reference' })).toMatchObject({ isa: 'typescript' })
  })

  test('finds the backend of a variant', async () => {
    expect(await opened({ isa: 'wasm-simd', threads: 1 })).toMatchObject({ name: 'wasm' })
    expect(await opened({ isa: 'typescript' })).toMatchObject({ name: 'reference' })
    const wide = await opened({ isa: 'wasm64-relaxed-simd', threads: 1 }).catch(String)
    expect(JSON.stringify(wide)).toMatch(/"name":"wasm"|no (64-bit addresses|relaxed SIMD)/)
    await expect(openBackend({ isa: 'x86-mmx' })).rejects.toThrow(BackendError)
  })

  test('refuses a variant of another backend', async () => {
    await expect(openBackend({ backend: 'wasm', isa: 'typescript' })).rejects.toThrow(BackendError)
    await expect(openBackend({ backend: 'reference', isa: 'wasm-simd' })).rejects.toThrow(
      /typescript.*"wasm-simd"/,
    )
  })

  test('takes unset options from the environment', async () => {
    vi.stubEnv('BITNET_BACKEND', 'wasm')
    vi.stubEnv('BITNET_ISA', 'wasm-simd')
    expect(await opened({ threads: 1 })).toMatchObject({ name: 'wasm', isa: 'wasm-simd' })
    vi.stubEnv('BITNET_BACKEND', 'gpu')
    await expect(openBackend()).rejects.toThrow(
      'auto, native, webgpu, wasm or reference, got "gpu"',
    )
  })

  test('refuses a count of threads that is none', async () => {
    await expect(openBackend({ threads: 0 })).rejects.toThrow(UsageError)
    await expect(openBackend({ threads: 1.5 })).rejects.toThrow(UsageError)
  })

  test.each([100_000, 1e9])('refuses %i threads in place of starting them', async (threads) => {
    await expect(openBackend({ threads })).rejects.toThrow(UsageError)
    await expect(openBackend({ threads, backend: 'wasm' })).rejects.toThrow('Expected at most')
  })
})

describe('openPortableBackend', () => {
  test('prefers WebAssembly and keeps the reasons it is given', async () => {
    const backend = await openOneOf({ native: NO_NATIVE, ...PORTABLE }, { threads: 1 })
    expect(backend.description).toMatch(/^wasm wasm-.*1 thread \(native: no addon\)$/)
    expect(backend.fallbacks).toEqual(['native: no addon'])
    backend.dispose()
  })

  test('falls back to the reference where there is no WebAssembly, and says so', async () => {
    vi.stubGlobal('WebAssembly', undefined)
    const backend = await openOneOf({ native: NO_NATIVE, ...PORTABLE }, {})
    expect(backend.name).toBe('reference')
    expect(backend.description).toMatch(/\(native: no addon; wasm: Expected .*no SIMD/)
    await expect(openPortableBackend({ backend: 'wasm' })).rejects.toThrow(BackendError)
  })

  test('has no native backend', async () => {
    await expect(openPortableBackend({ backend: 'native' })).rejects.toThrow(UsageError)
  })
})

describe("'auto' and a GPU", () => {
  const kindsWith = (isReal: boolean) => {
    const open: BackendKind['open'] = async (_, fallbacks) => createReferenceBackend(fallbacks)
    const wasm: BackendKind = { isas: /^wasm/, variants: async () => [], open }
    const webgpu: BackendKind = {
      ...wasm,
      isas: /^webgpu-/,
      isForAuto: async () => isReal,
      open: async (options, fallbacks) => {
        const backend = await open(options, fallbacks)
        Object.defineProperty(backend, 'name', { value: 'webgpu' })
        return backend
      },
    }
    return { webgpu, wasm, reference: PORTABLE.reference }
  }

  test('takes a real one first, and none in software', async () => {
    expect((await openOneOf(kindsWith(true), {})).name).toBe('webgpu')
    const other = await openOneOf(kindsWith(false), {})
    expect(other.name).toBe('reference')
    expect(other.fallbacks).toEqual([])
    // By name it runs, whatever it is.
    expect((await openOneOf(kindsWith(false), { backend: 'webgpu' })).name).toBe('webgpu')
  })

  test('passes over what it is told to, and says why', async () => {
    const without = { webgpu: 'it has no room' }
    const { name, fallbacks } = await openOneOf(kindsWith(true), { without })
    expect(name).toBe('reference')
    expect(fallbacks).toEqual(['webgpu: it has no room'])
  })

  test('is told from a processor that does the work of one', async () => {
    vi.stubGlobal('navigator', {})
    expect(await PORTABLE.webgpu.isForAuto?.()).toBe(false)
    const adapter = (info: object) => ({
      gpu: {
        wgslLanguageFeatures: new Set(['packed_4x8_integer_dot_product']),
        requestAdapter: async () => ({ info }),
      },
    })
    vi.stubGlobal('navigator', adapter({ description: 'NVIDIA H200', isFallbackAdapter: false }))
    expect(await PORTABLE.webgpu.isForAuto?.()).toBe(true)
    for (const info of [
      { isFallbackAdapter: true },
      { isFallbackAdapter: false, architecture: 'swiftshader' },
      { isFallbackAdapter: false, description: 'llvmpipe (LLVM 19)' },
    ]) {
      vi.stubGlobal('navigator', adapter(info))
      expect(await PORTABLE.webgpu.isForAuto?.()).toBe(false)
    }
    vi.stubGlobal('navigator', {
      gpu: { wgslLanguageFeatures: new Set(), requestAdapter: async () => null },
    })
    expect(await PORTABLE.webgpu.isForAuto?.()).toBe(false)
  })
})
