/** What is said when the system has no memory left, by an addon that is always refused some. */
import { expect, test, vi } from 'vitest'
import { BackendError } from '../../errors.ts'

const refuse = (): never => {
  throw new Error('native addon: no memory')
}
const addon = {
  variants: () => [{ isa: 'portable', missing: null }],
  poolThreads: () => 1,
  openPool: vi.fn(() => ({})),
  closePool: () => {},
  allocate: refuse,
  record: refuse,
}
vi.mock('./addon.ts', () => ({ loadAddon: () => addon }))
const { openNativeBackend } = await import('./native-backend.ts')

test('a buffer names its bytes and what to do', () => {
  using backend = closing(openNativeBackend())
  expect(() => backend.allocate(4096, 'logits')).toThrow(BackendError)
  expect(() => backend.allocate(4096, 'logits')).toThrow(/4096 bytes of "logits".* Use a smaller/)
})

test('a program and the threads do, too', async () => {
  using backend = closing(openNativeBackend())
  await expect((async () => backend.record([]))()).rejects.toThrow(
    /^Expected memory for a list of \d+ bytes, .* Use a smaller model/,
  )
  addon.openPool.mockImplementationOnce(refuse)
  expect(() => openNativeBackend({ threads: 3 })).toThrow(/^Expected memory for 3 threads/)
})

function closing<B extends { dispose(): void }>(backend: B): B & Disposable {
  return Object.assign(backend, { [Symbol.dispose]: () => backend.dispose() })
}
