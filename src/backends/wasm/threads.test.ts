/**
 * Workers that do not start, and workers that die.
 */
import { expect, test } from 'vitest'
import { BackendError } from '../../errors.ts'
import { openModules } from './module-source.ts'
import { WorkerThreads } from './threads.ts'
import { openWasmBackend } from './wasm-backend.ts'

const memory = () => new WebAssembly.Memory({ initial: 64, maximum: 65535, shared: true })
const module = await (await openModules()).compile({ isa: 'wasm-simd', threaded: true })

test('a worker that does not start is a BackendError', async () => {
  // Memory that is not shared cannot be sent.
  const alone = new WebAssembly.Memory({ initial: 64 })
  const start = { module, memory: alone, control: 0, thread: 0, stackTop: 4 << 20 }
  const good = { ...start, memory: memory(), control: 1 << 20 }
  await expect(WorkerThreads.start([good, start])).rejects.toThrow()
  const other = await WebAssembly.compile(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))
  await expect(WorkerThreads.start([{ ...good, module: other }])).rejects.toThrow(BackendError)
})

test('a worker that dies fails the list that waits for it, and all after it', async () => {
  // Atomic operations trap on an odd address.
  const start = { module, memory: memory(), control: (1 << 20) + 1, thread: 0, stackTop: 4 << 20 }
  // Its error may be heard before it says that it is ready; then it is one that did not start.
  const pool = await WorkerThreads.start([start]).catch((error: unknown) => error)
  const run = () => (pool instanceof WorkerThreads ? pool.run(() => {}) : Promise.reject(pool))
  await expect(run()).rejects.toThrow('A WebAssembly worker failed')
  await expect(run()).rejects.toThrow(BackendError)
})

test('threads leave no listeners at the streams of the process, of which Node warns when they are many', async () => {
  const listeners = () =>
    ['close', 'error', 'finish', 'unpipe'].map((event) => process.stdout.listenerCount(event))
  const before = listeners()
  const backend = await openWasmBackend({ threads: 12 })
  expect(backend.threads).toBe(12)
  expect(listeners()).toEqual(before)
  await backend.dispose()
})
