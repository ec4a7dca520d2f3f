/**
 * The WebAssembly backend's own duties: memory that grows, threads that end, and giving way. What it
 * computes is compared with the reference in kernels/conformance.test.ts.
 */

import { execFileSync } from 'node:child_process'
import type { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { buildProgram } from '../../../test/support/built-program.ts'
import { readFloats } from '../../../test/support/contract.ts'
import { BackendError } from '../../errors.ts'
import type { Command } from '../../kernels/ops.ts'
import type { Backend } from '../backend.ts'
import { LinearMemory } from './linear-memory.ts'
import { openWasmBackend, wasmVariants } from './wasm-backend.ts'

afterEach(() => void vi.unstubAllGlobals())

const threadCounts = [1, 2]

/** `cols` floats doubled by a dense product with a diagonal of one element, `rows` times over. */
function doubling(backend: Backend, rows: number) {
  const x = backend.allocate(4, 'x')
  const data = backend.allocate(Math.ceil(rows / 16) * 64, 'weights')
  const out = backend.allocate(rows * 4, 'out')
  backend.write(x, 0, new Uint8Array(Float32Array.of(3).buffer))
  backend.write(data, 0, new Uint8Array(new Float32Array(data.byteLength / 4).fill(2).buffer))
  const weights = { type: 'f32', rows, cols: 1, data, scales: undefined } as const
  const command: Command = { op: 'dense-matmul', rows: 1, x, weights, out, accumulate: false }
  return { command, out, weights: data }
}

describe.each(threadCounts)('with %i threads', (threads) => {
  test('results stay right when the memory grows between recording and running', async () => {
    const backend = await openWasmBackend({ threads })
    const { command, out } = doubling(backend, 40)
    const program = await backend.record([command])
    for (let i = 0; i < 4; i++) backend.allocate(5 << 20, 'more')
    backend.submit(program)
    expect(await readFloats(backend, out)).toEqual(Array(40).fill(6))
    backend.dispose()
  })

  test('two backends run side by side', async () => {
    const backends = await Promise.all([openWasmBackend({ threads }), openWasmBackend({ threads })])
    const runs = backends.map(async (backend, i) => {
      const { command, out } = doubling(backend, 20 + i)
      const program = await backend.record([command])
      for (let pass = 0; pass < 50; pass++) backend.submit(program)
      return readFloats(backend, out)
    })
    expect(await Promise.all(runs)).toEqual([Array(20).fill(6), Array(21).fill(6)])
    for (const backend of backends) backend.dispose()
  })
})

test('one thread gives way to timers within a long list', async () => {
  const backend = await openWasmBackend({ threads: 1 })
  const { command } = doubling(backend, 40_000)
  const program = await backend.record(Array<Command>(400).fill(command))
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  for (let i = 0; i < 20 && ticks < 2; i++) {
    backend.submit(program)
    await backend.done()
  }
  clearInterval(timer)
  expect(ticks).toBeGreaterThanOrEqual(2)
  backend.dispose()
})

test('views are given out only where they outlive growth', async () => {
  const [alone, shared] = [
    await openWasmBackend({ threads: 1 }),
    await openWasmBackend({ threads: 2 }),
  ]
  expect(alone.map).toBeUndefined()
  const buffer = shared.allocate(4, 'viewed')
  const view = shared.map?.(buffer)
  shared.allocate(50 << 20, 'more')
  shared.write(buffer, 0, Uint8Array.of(1, 2, 3, 4))
  expect([...(view ?? [])]).toEqual([1, 2, 3, 4])
  alone.dispose()
  shared.dispose()
})

test('a worker that dies fails what runs and all that comes, and the device is lost', async () => {
  const threads: Worker[] = []
  const { Worker: NodeWorker } = process.getBuiltinModule('node:worker_threads')
  class Watched extends NodeWorker {
    constructor(...args: ConstructorParameters<typeof NodeWorker>) {
      super(...args)
      threads.push(this)
    }
  }
  const builtin = process.getBuiltinModule
  const modules = vi.spyOn(process, 'getBuiltinModule')
  modules.mockImplementation((id: string) => {
    return (id === 'node:worker_threads' ? { Worker: Watched } : builtin(id)) as never
  })
  const backend = await openWasmBackend({ threads: 2 }).finally(() => modules.mockRestore())
  expect(backend.threads).toBe(2)
  const { command, out } = doubling(backend, 16)
  const program = await backend.record([command])
  await threads[1].terminate()
  backend.submit(program)
  backend.write(out, 0, new Uint8Array(4))
  await expect(backend.done()).rejects.toThrow(BackendError)
  await expect(backend.read(out)).rejects.toThrow('A WebAssembly worker failed: it ended')
  expect((await backend.lost).reason).toContain('it ended')
  backend.submit(program)
  await expect(backend.done()).rejects.toThrow('A WebAssembly worker failed')
  await backend.dispose()
})

test('without shared memory it runs one thread and says why', async () => {
  vi.stubGlobal('crossOriginIsolated', false)
  const backend = await openWasmBackend({ threads: 4 })
  expect(backend.threads).toBe(1)
  expect(backend.description).toMatch(/1 thread \(.*Cross-Origin-Opener-Policy/)
  backend.dispose()
})

test('a variant that does not run here is refused by name', async () => {
  await expect(openWasmBackend({ isa: 'wasm-mmx' })).rejects.toThrow(/"wasm-mmx".*wasm-simd/)
  for (const { isa, supported } of wasmVariants()) {
    if (!supported) await expect(openWasmBackend({ isa })).rejects.toThrow('this engine has no')
  }
})

test('memory says when it is full, and what to do', () => {
  const memory = new LinearMemory(new WebAssembly.Memory({ initial: 1, maximum: 3 }), 1024, 3)
  memory.allocate(100_000, 'first')
  expect(() => memory.allocate(100_000, 'second')).toThrow(/"second".*native backend/)
})

test('neighbouring free spans become one again', () => {
  const memory = new LinearMemory(new WebAssembly.Memory({ initial: 1, maximum: 1 }), 0, 1)
  const parts = [0, 1, 2, 3].map(() => memory.allocate(16384, 'part'))
  for (const i of [2, 0, 3, 1]) memory.free(parts[i], 16384)
  expect(memory.allocate(65536, 'all')).toBe(0)
})

test('a program that forgets to dispose its backend still ends by itself', async () => {
  await buildProgram()
  const url = new URL('../../../dist/backends/wasm/wasm-backend.js', import.meta.url)
  const script = `
    const { openWasmBackend } = await import(${JSON.stringify(url.href)})
    const backend = await openWasmBackend({ threads: 2 })
    console.log(backend.threads)`
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 20_000,
    encoding: 'utf8',
  })
  expect(out).toBe('2\n')
})
