/**
 * Which journal an evaluation finds again.
 */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test, vi } from 'vitest'
import { DEFAULT_EVAL_SETTINGS } from '../../eval/evaluate.ts'
import type { LoadSettings } from '../../generate/load/load-options.ts'
import { imageFolder } from '../images/image-folder.ts'
import { defaultJournalPath, evaluationIdentity } from './evaluation-identity.ts'

const ANY_FILE = fileURLToPath(import.meta.url)

afterEach(() => vi.unstubAllEnvs())

test('journals lie beside packed images, wherever those are', () => {
  vi.stubEnv('BITNET_CACHE', 'some/where')
  expect(defaultJournalPath('abc')).toBe(join('some', 'where', 'eval', 'abc.jsonl'))
  vi.stubEnv('BITNET_CACHE', '')
  expect(dirname(dirname(defaultJournalPath('abc')))).toBe(dirname(imageFolder()))
})

test('results of two backends, or of two precisions, are not mixed', async () => {
  const identity = (name: string, loading: LoadSettings = {}, isa = 'any') =>
    evaluationIdentity(ANY_FILE, {
      settings: DEFAULT_EVAL_SETTINGS,
      backend: { name, isa },
      loading,
    })
  const native = await identity('native')
  expect(await identity('native', { kv: 'f16' })).toBe(native)
  expect(await identity('wasm')).not.toBe(native)
  expect(await identity('native', {}, 'other')).not.toBe(native)
  expect(await identity('native', { kv: 'int8' })).not.toBe(native)
  expect(await identity('native', { matmulPrecision: 'highest' })).not.toBe(native)
})
