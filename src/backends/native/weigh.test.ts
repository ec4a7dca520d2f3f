/** What V8 is told of the memory of buffers, by an addon that writes it down. */
import { afterEach, expect, test, vi } from 'vitest'
import { TAIL_BYTES } from '../list-backend.ts'

const GIB = 2 ** 30
const told: number[] = []
const addon = {
  variants: () => [{ isa: 'portable', missing: null }],
  poolThreads: () => 1,
  openPool: () => ({}),
  closePool: () => {},
  allocate: (byteLength: number) => ({ byteLength }),
  addressOf: () => 64,
  release: (pages: { byteLength: number }) => Object.assign(pages, { byteLength: 0 }),
  weigh: (bytes: number) => told.push(bytes),
}
vi.mock('./addon.ts', () => ({ loadAddon: () => addon }))

afterEach(() => {
  vi.unstubAllGlobals()
  vi.resetModules()
  told.length = 0
})

/** A backend in a process of that version of V8. */
async function openWith(v8: string, more = {}) {
  vi.stubGlobal('process', { ...process, versions: { ...process.versions, v8, ...more } })
  return (await import('./native-backend.ts')).openNativeBackend({ threads: 1 })
}

test('a cache of gigabytes is taken off what V8 counts, and put back once it is freed', async () => {
  const backend = await openWith('11.3.244.8-node.33')
  const cache = backend.allocate(6 * GIB, 'cache')
  expect(told).toEqual([-(6 * GIB + TAIL_BYTES)])
  backend.free(cache)
  expect(told).toEqual([-(6 * GIB + TAIL_BYTES), 6 * GIB + TAIL_BYTES])
})

test('what is left is put back when the backend is disposed of', async () => {
  const backend = await openWith('12.4.254.21-node.33')
  for (const label of ['keys', 'values']) backend.allocate(GIB, label)
  await backend.dispose()
  expect(told).toHaveLength(4)
  expect(told.reduce((sum, bytes) => sum + bytes, 0)).toBe(0)
})

test('weights weigh what they are', async () => {
  const backend = await openWith('11.3.244.8-node.33')
  backend.free(backend.allocate(GIB, 'weights', 'weights'))
  expect(told).toEqual([])
})

test.each([
  ['V8 13, which counts ArrayBuffers apart', '13.6.233.10-node.28', {}],
  ['bun, which has no such count', '11.3.244.8', { bun: '1.2.0' }],
])('nothing is taken off by %s', async (_, v8, more) => {
  const backend = await openWith(v8, more)
  backend.free(backend.allocate(6 * GIB, 'cache'))
  expect(told).toEqual([])
})
