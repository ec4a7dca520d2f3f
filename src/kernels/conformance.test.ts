/**
 * Every operation x every backend x every case: the same bytes in, the same bytes out as the
 * reference, in every buffer, floats too. A wrong rounding, a write past the end and an input that was
 * changed all show as a difference.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testBackends } from '../../test/backends.ts'
import type { Backend } from '../backends/backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { attentionCases } from './attention/cases.ts'
import type { DeviceBuffer, OpName } from './commands.ts'
import type { CaseArray, CaseData, KernelCase } from './conformance/cases.ts'
import { denseMatmulCases } from './dense-matmul/cases.ts'
import { embedCases } from './embed/cases.ts'
import { gatedActivationCases } from './gated-activation/cases.ts'
import { gatherRowsCases } from './gather-rows/cases.ts'
import { packDenseCases } from './pack-dense/cases.ts'
import { packTernaryCases } from './pack-ternary/cases.ts'
import { quantizeCases } from './quantize/cases.ts'
import { operationNames } from './registry.ts'
import { rmsNormCases } from './rms-norm/cases.ts'
import { ropeCacheCases } from './rope-cache/cases.ts'
import { ternaryMatmulCases } from './ternary-matmul/cases.ts'

const cases: Record<OpName, readonly KernelCase[]> = {
  embed: embedCases,
  'gather-rows': gatherRowsCases,
  'rms-norm': rmsNormCases,
  quantize: quantizeCases,
  'ternary-matmul': ternaryMatmulCases,
  'dense-matmul': denseMatmulCases,
  'rope-cache': ropeCacheCases,
  attention: attentionCases,
  'gated-activation': gatedActivationCases,
  'pack-ternary': packTernaryCases,
  'pack-dense': packDenseCases,
}

/** Bytes after the end of every buffer that nothing may write to. */
const GUARD_BYTES = 64
const GUARD = 0xa5
/** Differences that are shown; the rest are counted. */
const SHOWN = 5

type Results = ReadonlyMap<string, Uint8Array>

/** The bytes of all buffers, guards included, after the command has run once. */
async function runCase(backend: Backend, data: CaseData): Promise<Results> {
  const buffers: Record<string, DeviceBuffer> = {}
  for (const [name, array] of Object.entries(data.contents)) {
    const buffer = backend.allocate(array.byteLength + GUARD_BYTES, name)
    backend.write(buffer, 0, new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
    backend.write(buffer, array.byteLength, new Uint8Array(GUARD_BYTES).fill(GUARD))
    buffers[name] = buffer
  }
  const program = backend.record([data.command(buffers)])
  try {
    await backend.submit(program)
    const results = new Map<string, Uint8Array>()
    for (const [name, buffer] of Object.entries(buffers)) {
      results.set(name, await backend.read(buffer, 0, buffer.byteLength))
    }
    return results
  } finally {
    program.dispose()
    for (const buffer of Object.values(buffers)) backend.free(buffer)
  }
}

/** One line for each of the first differences, in the buffers' own element types. */
function differences(contents: CaseData['contents'], expected: Results, got: Results): string[] {
  const lines: string[] = []
  let count = 0
  for (const [name, like] of Object.entries(contents)) {
    const a = expected.get(name) ?? new Uint8Array(0)
    const b = got.get(name) ?? new Uint8Array(0)
    if (Buffer.compare(a, b) === 0) continue
    const size = like.BYTES_PER_ELEMENT
    for (let at = 0; at < a.byteLength; at += size) {
      if (Buffer.compare(a.subarray(at, at + size), b.subarray(at, at + size)) === 0) continue
      count++
      if (lines.length >= SHOWN) continue
      const place = at < like.byteLength ? `${name}[${at / size}]` : `${name}, past its end`
      lines.push(`${place}: expected ${element(a, at, like)}, got ${element(b, at, like)}`)
    }
  }
  if (count > lines.length) lines.push(`and ${count - lines.length} more`)
  return lines
}

function element(bytes: Uint8Array, at: number, like: CaseArray): string {
  const own = bytes.slice(at, at + like.BYTES_PER_ELEMENT)
  const view = new (like.constructor as new (buffer: ArrayBufferLike) => CaseArray)(own.buffer)
  return `${view[0]} (0x${Buffer.from(own).reverse().toString('hex')})`
}

const backends = await Promise.all(
  testBackends().map(async ({ title, open }) => ({ title, backend: await open?.() })),
)
const reference = createReferenceBackend()

afterAll(() => {
  for (const { backend } of backends) backend?.dispose()
})

describe.each(operationNames)('%s', (op) => {
  describe.each(cases[op])('$name', ({ create }) => {
    let data: CaseData
    let expected: Results

    beforeAll(async () => {
      data = create()
      expected = await runCase(reference, data)
    })

    afterAll(() => {
      expected = new Map()
    })

    test('the reference leaves every guard alone and changes something', () => {
      let changed = false
      for (const [name, array] of Object.entries(data.contents)) {
        const bytes = expected.get(name) ?? new Uint8Array(0)
        expect(bytes.subarray(array.byteLength).every((byte) => byte === GUARD)).toBe(true)
        const before = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
        if (Buffer.compare(before, bytes.subarray(0, array.byteLength)) !== 0) changed = true
      }
      expect(changed).toBe(true)
    })

    for (const { title, backend } of backends) {
      test.skipIf(backend === undefined)(`${title} gives the reference's bytes`, async () => {
        if (backend === undefined) return
        expect(differences(data.contents, expected, await runCase(backend, data))).toEqual([])
      })
    }
  })
})
