/** Errors are told apart by names that no bundler changes. */
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { expect, test } from 'vitest'
import * as errors from './errors.ts'

/** All classes of errors with what makes one of each. */
const MAKERS: Readonly<Record<keyof typeof errors, (from: typeof errors) => Error>> = {
  BitnetError: (from) => new from.BitnetError('CODE', 'text'),
  FormatError: (from) => new from.FormatError('text', { field: 'a' }),
  ShapeError: (from) => new from.ShapeError('text'),
  BackendError: (from) => new from.BackendError('text'),
  ContextOverflowError: (from) =>
    new from.ContextOverflowError('text', { needed: 2, available: 1 }),
  ModelNotFoundError: (from) => new from.ModelNotFoundError('text', { source: 'a' }),
  DownloadError: (from) => new from.DownloadError('text', { url: 'a' }),
  UsageError: (from) => new from.UsageError('text'),
}

test('each error has its name, minified too, and the name heads its stack', async () => {
  const entry = fileURLToPath(new URL('errors.ts', import.meta.url))
  const { outputFiles } = await build({
    ...{ entryPoints: [entry], bundle: true, minify: true, write: false, format: 'esm' },
  })
  const { text } = outputFiles[0]
  const minified: typeof errors = await import(`data:text/javascript,${encodeURIComponent(text)}`)
  // Otherwise the test would show nothing.
  expect(minified.UsageError.name).not.toBe('UsageError')
  for (const from of [errors, minified]) {
    for (const [name, make] of Object.entries(MAKERS)) {
      const error = make(from)
      expect(error.name).toBe(name)
      expect(error.stack).toMatch(new RegExp(`^${name}: text\n`))
      expect(String(error)).toBe(`${name}: text`)
      expect(error).toBeInstanceOf(from.BitnetError)
    }
  }
})
