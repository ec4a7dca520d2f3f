/**
 * Every operation x every backend x every case: the same bytes in, the same bytes out as the
 * reference, in every buffer, floats too. A wrong rounding, a write past the end and an input that was
 * changed all show as a difference.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testBackends } from '../../test/support/backends.ts'
import { conformanceCases, GUARD, type Results, runCase } from '../../test/support/conformance.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { operationNames } from './commands.ts'
import type { CaseArray, CaseData } from './testing/conformance-cases.ts'

/** Differences that are shown; the rest are counted. */
const SHOWN = 5

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
  describe.each(conformanceCases[op])('$name', ({ create }) => {
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
