/**
 * A checkout for which npm has no Zig: this machine's own compilers understand every variant's source and
 * flags, and what they build gives the reference's bits.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { openNativeBackend } from '../src/backends/native/native-backend.ts'
import { ROOT } from './support/built-program.ts'
import { describeOperation } from './support/conformance-suite.ts'
import { casesUpTo } from './support/replay-file.ts'

const built = vi.hoisted(() => ({ addon: '' }))
vi.mock(import('../src/backends/native/addon.ts'), () => ({
  loadAddon: () => createRequire(import.meta.url)(built.addon),
}))

interface Compiler {
  readonly name: string
  readonly command: readonly string[]
  readonly flags: readonly string[]
  variantFlags(isa: string): readonly string[]
}

const run = promisify(execFile)
const script = (name: string) => import(pathToFileURL(join(ROOT, 'scripts', name)).href)
const { systemCompilers, variantsOf } = await script('toolchain.mjs')
const { buildAddon } = await script('build-native.mjs')
/** cc and gcc are often one. */
const compilers: Compiler[] = await systemCompilers().then(
  (found: Compiler[]) => found.slice(0, 1),
  () => [],
)
const folder = mkdtempSync(join(tmpdir(), 'bitnet-compiler-'))
const backends: { title: string; backend: ReturnType<typeof openNativeBackend> | undefined }[] = []
for (const compiler of compilers) {
  // Of the variants only the portable one, without optimisation: the others' sources are checked below.
  const quick = { ...compiler, flags: ['-O0'] }
  built.addon = await buildAddon(quick, folder, ['portable'], 'test/fixtures/operation/cpu.c')
  backends.push({ title: compiler.name, backend: openNativeBackend({ threads: 2 }) })
}
if (compilers.length === 0) backends.push({ title: 'no compiler', backend: undefined })

afterAll(() => {
  for (const { backend } of backends) backend?.dispose()
  rmSync(folder, { recursive: true })
})

describe.each(compilers)('$name', ({ command: [program = '', ...first], variantFlags }) => {
  test.each<string>(variantsOf(process.arch))('understands %s', async (isa) => {
    const source = join(ROOT, `src/kernels/c/variants/${isa}.c`)
    const flags = ['-std=gnu11', '-fsyntax-only', '-I', folder, ...variantFlags(isa)]
    await expect(run(program, [...first, ...flags, source])).resolves.toBeDefined()
  })
})

const small = casesUpTo(20_000)
for (const name of ['quantize', 'ternary-matmul', 'head-matmul', 'dense-matmul']) {
  describeOperation(name, small[name] ?? [], backends)
}
