/**
 * An operation is a folder and a line: test/fixtures/operation, which no part of the program knows, is
 * validated, runs on the reference, on an addon and on a WebAssembly module built with it, and passes the
 * conformance suite.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { openNativeBackend } from '../src/backends/native/native-backend.ts'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import { openWasmBackend } from '../src/backends/wasm/wasm-backend.ts'
import { ShapeError } from '../src/errors.ts'
import { operationsHeader } from '../src/kernels/c-header.ts'
import { operandsOf, operationNames, validateCommand } from '../src/kernels/commands.ts'
import { type Command, operations } from '../src/kernels/ops.ts'
import { WholeBuffer } from '../src/kernels/slice.ts'
import { rowColumns } from '../src/kernels/step-inputs.ts'
import { cases } from './fixtures/operation/cases.ts'
import { ROOT } from './support/built-program.ts'
import { describeOperation } from './support/conformance-suite.ts'

const built = vi.hoisted(() => ({ addon: '', module: '' }))

// The line.
vi.mock(import('../src/kernels/ops.ts'), async (original) => {
  const { momentumStep } = await import('./fixtures/operation/op.ts')
  const { operations } = await original()
  return { operations: [...operations, momentumStep] as never }
})
vi.mock(import('../src/backends/native/addon.ts'), () => ({
  loadAddon: () => createRequire(import.meta.url)(built.addon),
}))

const script = join(ROOT, 'scripts/build-native.mjs')
const { buildSmall, headersOf } = await import(pathToFileURL(script).href)
const zig = join(ROOT, `node_modules/@zigc/${process.platform}-${process.arch}`)
const folder = mkdtempSync(join(tmpdir(), 'bitnet-operation-'))
const backends = await openBackends()

afterAll(() => {
  for (const { backend } of backends) backend?.dispose()
  rmSync(folder, { recursive: true })
})

async function openBackends() {
  if (!existsSync(zig))
    return [{ title: `native and wasm (no compiler in ${zig})`, backend: undefined }]
  const sources = operations.map(({ name }) => {
    const own = join(ROOT, 'src/kernels', name, 'vector.c')
    return existsSync(own) ? own : join(ROOT, 'test/fixtures/operation/vector.c')
  })
  const header = operationsHeader(operations)
  const cpu = 'test/fixtures/operation/cpu.c'
  Object.assign(built, await buildSmall(folder, headersOf(header, sources), cpu))
  const wasm = readFileSync(built.module)
  return [
    { title: 'native-portable, threads: 1', backend: openNativeBackend({ threads: 1 }) },
    { title: 'native-portable, threads: 2', backend: openNativeBackend({ threads: 2 }) },
    { title: 'wasm-simd', backend: await openWasmBackend({ wasm, threads: 1 }) },
  ]
}

describeOperation('momentum-step', cases, backends)

describe('a made-up operation', () => {
  const { contents, command } = cases[1].create()
  const slices = Object.fromEntries(
    Object.entries(contents).map(([name, { byteLength }]) => [
      name,
      new WholeBuffer(name, byteLength),
    ]),
  )
  const valid = command(slices)
  const asCommand = (changes: Partial<typeof valid>) =>
    ({ ...valid, ...changes }) as unknown as Command

  test('is listed after the others, and its operands are known', () => {
    expect(operationNames.at(-1)).toBe('momentum-step')
    expect(operandsOf(asCommand({})).map(({ name, access }) => `${access} ${name}`)).toEqual([
      'read rate',
      'read index',
      'read gradient',
      'update mean',
      'update square',
      'read lower',
      'read upper',
      'read decay',
      'update weights',
    ])
  })

  test('is validated', () => {
    expect(() => validateCommand(asCommand({}))).not.toThrow()
    const faults = [
      { cols: 2 ** 30 },
      { eps: -1 },
      { rate: new WholeBuffer('rate', 3) },
      { square: valid.mean },
      { mean: new WholeBuffer('mean', 4) },
    ]
    for (const fault of faults) expect(() => validateCommand(asCommand(fault))).toThrow(ShapeError)
  })

  test('reads what changes with each step from memory, and its indices are checked', async () => {
    for (const backend of [createReferenceBackend(), ...backends.map(({ backend }) => backend)]) {
      if (backend === undefined) continue
      const memory = (name: string, limit = 7) =>
        name === 'index'
          ? backend.allocateIndices(contents[name].length, rowColumns(limit), name)
          : backend.allocate(contents[name].byteLength, name)
      const own = Object.fromEntries(Object.keys(contents).map((name) => [name, memory(name)]))
      for (const [name, { buffer }] of Object.entries(contents)) {
        backend.write(own[name], 0, new Uint8Array(buffer))
      }
      const weights = () => backend.read(own['weights'])
      const program = await backend.record([command(own) as unknown as Command])
      backend.write(own['rate'], 0, new Uint8Array(4))
      backend.submit(program)
      const before = await weights()
      backend.submit(program)
      expect(await weights()).toEqual(before)
      backend.write(own['rate'], 0, new Uint8Array(Float32Array.of(1).buffer))
      backend.submit(program)
      expect(await weights()).not.toEqual(before)
      const row7 = new Uint8Array(Int32Array.of(7).buffer)
      expect(() => backend.write(own['index'], 0, row7)).toThrow(ShapeError)
      const wide = command({ ...own, index: memory('index', 8) }) as unknown as Command
      await expect(backend.record([wide])).rejects.toThrow(ShapeError)
    }
  })
})
