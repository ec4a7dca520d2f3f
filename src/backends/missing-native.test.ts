/** What a process is told that has no native kernels where it did not ask for others. */
import { afterEach, expect, test, vi } from 'vitest'
import { BackendError } from '../errors.ts'
import { openBackend } from './select.ts'

vi.mock(import('./native/addon.ts'), () => ({
  loadAddon: () => {
    throw new BackendError('The package @bitnet-ts/native-x is not installed: npm install it')
  },
}))

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

test('one line, once, with the command that brings them; none to who chose another backend', async () => {
  vi.stubEnv('BITNET_BACKEND', '')
  vi.stubEnv('BITNET_ISA', '')
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  for (const backend of ['wasm', 'auto', 'auto'] as const) {
    const opened = await openBackend({ backend, threads: 1 })
    expect(opened.name).toBe('wasm')
    opened.dispose()
    expect(warn).toHaveBeenCalledTimes(backend === 'wasm' ? 0 : 1)
  }
  const [line] = warn.mock.calls[0]
  expect(line).toMatch(/native-x is not installed: npm install it$/)
  expect(line).not.toContain('\n')
})
