/**
 * The module with 64-bit addresses: when it is taken, and what it computes beyond 4 GiB. The memory in
 * front of that is set aside and never touched, so that these tests need a few megabytes.
 */
import { describe, expect, test, vi } from 'vitest'
import { conformanceCases } from '../../../test/support/all-cases.ts'
import { runCase } from '../../../test/support/conformance.ts'
import type { Backend } from '../backend.ts'
import { openPortableBackend } from '../open-portable.ts'
import { createReferenceBackend } from '../reference/index.ts'
import { createMemory } from './instance.ts'
import { LinearMemory } from './linear-memory.ts'
import { WIDE_ISA, wasmFeatures } from './module.ts'
import { openWasmBackend, wasmVariants } from './wasm-backend.ts'

const GIB = 2 ** 30
const reason = wasmVariants().find(({ isa }) => isa === WIDE_ISA)?.reason
const { memory64 } = wasmFeatures()

/** Takes the addresses up to some way beyond 4 GiB, and shows that the next are beyond. */
function setAside(backend: Backend): void {
  for (let i = 0; i < 3; i++) backend.allocate(1.5 * GIB, 'set aside')
  const view = backend.map?.(backend.allocate(1 << 20, 'next'))
  if (view) expect(view.byteOffset).toBeGreaterThan(4 * GIB)
}

describe.skipIf(reason !== undefined)(`${WIDE_ISA}${reason ? ` (${reason})` : ''}`, () => {
  test('is taken for more than 32-bit addresses can hold, and for no less', async () => {
    for (const [gib, isWide] of [
      [5, true],
      [3.9, true],
      [3, false],
    ] as const) {
      const backend = await openPortableBackend({ threads: 1, expectedBytes: gib * GIB })
      expect([gib, backend.isa === WIDE_ISA]).toEqual([gib, isWide])
      backend.dispose()
    }
    const unknown = await openWasmBackend({ threads: 1 })
    expect(unknown.isa).not.toBe(WIDE_ISA)
    unknown.dispose()
  })

  test('gives way to a variant that is asked for by name', async () => {
    const backend = await openPortableBackend({ isa: 'wasm-simd', expectedBytes: 5 * GIB })
    expect(backend.isa).toBe('wasm-simd')
    backend.dispose()
  })

  describe.each([1, 2])('with %i threads', (threads) => {
    test.each([
      'embed',
      'quantize',
      'ternary-matmul',
      'dense-matmul',
      'rope-cache',
      'attention',
      'pack-ternary',
    ] as const)('%s gives the bytes of the reference beyond 4 GiB', async (op) => {
      const backend = await openWasmBackend({ isa: WIDE_ISA, threads })
      const reference = createReferenceBackend()
      expect(backend.threads).toBe(threads)
      setAside(backend)
      for (const { create } of conformanceCases[op].slice(0, 3)) {
        const data = create()
        const [got, expected] = [await runCase(backend, data), await runCase(reference, data)]
        for (const [name, bytes] of expected) {
          expect([name, Buffer.compare(bytes, got.get(name) ?? Buffer.of())]).toEqual([name, 0])
        }
      }
      backend.dispose()
    })

    test('16 GiB is where it ends, and that is said', async () => {
      const backend = await openWasmBackend({ isa: WIDE_ISA, threads })
      expect(() => {
        for (let i = 0; i < 9; i++) backend.allocate(2 * GIB, 'too much')
      }).toThrow(/"too much".*native backend/)
      backend.dispose()
    })
  })
})

test.skipIf(memory64)('an engine without 64-bit addresses takes what it has', async () => {
  const backend = await openWasmBackend({ threads: 1, expectedBytes: 5 * GIB })
  expect(backend.isa).not.toBe(WIDE_ISA)
  backend.dispose()
})

test.skipIf(!memory64)('memory that is full names the variant that has more', () => {
  const [narrow, wide] = (['i32', 'i64'] as const).map((type) => {
    return new LinearMemory(createMemory(type, { initial: 1, maximum: 3 }), 0, 3, type)
  })
  expect(() => narrow.allocate(200_000, 'weights')).toThrow(`Use isa ${WIDE_ISA}`)
  expect(() => wide.allocate(200_000, 'weights')).toThrow('Use the native backend')
})

test('an engine without WebAssembly has no variant, and each says why', () => {
  vi.stubGlobal('WebAssembly', undefined)
  expect(wasmVariants().map(({ supported }) => supported)).toEqual([false, false, false])
  vi.unstubAllGlobals()
})
