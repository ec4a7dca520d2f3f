/** WebAssembly modules that a caller names or gives, and what is said where none can be had. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { BackendOptions, WasmSource } from '../backend.ts'
import { openModules } from './module-source.ts'

const FOLDER = new URL('./', import.meta.url)
const NAMES = readdirSync(FOLDER).filter((name) => name.endsWith('.wasm'))
const bytesOf = (name: string) => new Uint8Array(readFileSync(new URL(name, FOLDER)))

// A module of its own for each test: what is said once is said once in each.
let portable: typeof import('../open-portable.ts')
beforeEach(async () => {
  vi.resetModules()
  portable = await import('../open-portable.ts')
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** What runs; the backend is gone then. */
async function opened(options: BackendOptions) {
  const backend = await portable.openPortableBackend(options)
  const { name, isa, threads, description } = backend
  await backend.dispose()
  return { name, isa, threads, description }
}

async function failure(options: BackendOptions): Promise<Error> {
  return portable.openPortableBackend(options).then(
    () => new Error('it opened'),
    (error) => error,
  )
}

describe('openModules', () => {
  test('tells of each module what it was built for', async () => {
    expect(NAMES).toHaveLength(6)
    for (const name of NAMES) {
      const isa = name.replace('bitnet', 'wasm').replace(/(-threads)?\.wasm$/, '')
      const threaded = name.includes('-threads')
      expect((await openModules(bytesOf(name))).only, name).toEqual({ isa, threaded })
      expect((await openModules(new URL(name, FOLDER))).only, name).toEqual({ isa, threaded })
    }
  })

  test('takes a folder by address or path, and bytes of any kind', async () => {
    const path = fileURLToPath(FOLDER)
    const bytes = bytesOf('bitnet-simd.wasm')
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
    shared.set(bytes)
    const sources = [FOLDER, FOLDER.href, path, `${relative('.', path)}/`, bytes.buffer, shared]
    for (const source of sources) {
      const modules = await openModules(source as WasmSource)
      const facts = { isa: 'wasm-simd', threaded: false } as const
      expect(await modules.compile(facts)).toBeInstanceOf(WebAssembly.Module)
    }
  })
})

describe('a backend', () => {
  test('runs the module that is given, with the threads that it has', async () => {
    const alone = await opened({ wasm: bytesOf('bitnet-simd.wasm'), threads: 2 })
    expect(alone).toMatchObject({ name: 'wasm', isa: 'wasm-simd', threads: 1 })
    expect(alone.description).toContain('the WebAssembly module given has no threads')
    const threaded = fileURLToPath(new URL('bitnet-simd-threads.wasm', FOLDER))
    for (const threads of [1, 2]) {
      expect(await opened({ wasm: threaded, threads })).toMatchObject({ isa: 'wasm-simd', threads })
    }
    expect(await opened({ wasm: FOLDER, isa: 'wasm-simd', threads: 2 })).toMatchObject({
      threads: 2,
    })
  })

  test.each<[what: string, wasm: WasmSource, message: string]>([
    ['bytes of something else', new Uint8Array(100), 'that was given to be one of bitnet-ts'],
    ['no bytes', new Uint8Array(0), 'that was given to be one of bitnet-ts'],
    [
      'another module',
      Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0),
      'that was given to be one of bitnet-ts',
    ],
    ['a damaged module', bytesOf('bitnet-simd.wasm').subarray(0, 5000), 'does not load: '],
    [
      'a file that is not there',
      join(fileURLToPath(FOLDER), 'none.wasm'),
      'none.wasm does not load',
    ],
    ['a folder without modules', new URL('../native/', FOLDER), '.wasm does not load: ENOENT'],
    ['a folder without its "/"', FOLDER.href.slice(0, -1), 'does not load: '],
    ['a protocol that there is not', 'gopher://a/b/', 'does not load: '],
  ])('is refused, and not replaced, for %s', async (_what, wasm, message) => {
    const error = await failure({ wasm, threads: 1 })
    // Not by its class, of which each test has one of its own.
    expect(error.name).toBe('BackendError')
    expect(error.message).toContain(message)
  })

  test('is refused for another variant than that of the module', async () => {
    const error = await failure({ wasm: bytesOf('bitnet-simd.wasm'), isa: 'wasm-relaxed-simd' })
    expect(error.message).toContain('but the one given is for wasm-simd. Leave isa out')
  })

  test('on TypeScript alone says so once, with what to do', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    vi.spyOn(WebAssembly, 'compile').mockRejectedValue(new Error('HTTP status 404'))
    for (let i = 0; i < 2; i++) {
      expect(await opened({ threads: 1 })).toMatchObject({ name: 'reference' })
      expect(warn).toHaveBeenCalledTimes(1)
    }
    const [line] = warn.mock.calls[0]
    expect(line).toMatch(
      /^bitnet-ts runs on TypeScript alone, many times slower .*wasm: .*HTTP status 404\. /,
    )
    expect(line).toContain("loadModel(source, { wasm: '/bitnet/' })")
  })

  test('says nothing where TypeScript is asked for by name', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    expect(await opened({ backend: 'reference' })).toMatchObject({ name: 'reference' })
    expect(warn).not.toHaveBeenCalled()
  })
})
