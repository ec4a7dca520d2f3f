/**
 * The tests of one operation: every case on every backend, beside the reference. The same bytes in, and in
 * every buffer the same bytes out, floats too, or what the operation says of their agreement. A wrong
 * rounding, a write past the end and an input that was changed all show as a difference.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../src/backends/backend.ts'
import { createReferenceBackend } from '../../src/backends/reference/index.ts'
import { operationOf } from '../../src/kernels/commands.ts'
import type { Agreement, AnyCommand, Rounding } from '../../src/kernels/define-op.ts'
import type {
  CaseArray,
  CaseData,
  KernelCase,
} from '../../src/kernels/testing/conformance-cases.ts'
import { commandOf, GUARD, isRefused, type Results, runCase } from './conformance.ts'

/** A backend under test; undefined where it does not run here, which its title explains. */
export interface OpenBackend {
  readonly title: string
  readonly backend: Backend | undefined
}

/** Of each of a case's arrays. */
type Agreements = ReadonlyMap<string, Agreement<AnyCommand>>

function agreementsOf(
  data: CaseData<AnyCommand>,
  rounding: Rounding,
): {
  command: AnyCommand
  agreements: Agreements
} {
  const own = commandOf(data)
  const operation = operationOf(own)
  const agreements = operation
    .operands(own)
    .map(
      ({ name, slice }) =>
        [slice.label, operation.agreement(name.split('.')[0], rounding)] as const,
    )
  return { command: own, agreements: new Map(agreements) }
}

/** Whether an element is near enough. */
function agrees(
  agreement: Agreement<AnyCommand>,
  command: AnyCommand,
  expected: number,
  got: number,
  largest: number,
): boolean {
  if (agreement === 'exact') return false
  // What overflows in one order of rounding may just not in another.
  if (Math.abs(expected) === Infinity)
    return Math.sign(got) === Math.sign(expected) && Math.abs(got) > 2 ** 100
  const { absolute = 0, relative = 0, ofLargest = 0 } = agreement.within(command)
  const allowed = absolute + relative * Math.abs(expected) + ofLargest * largest
  return Math.abs(expected - got) <= allowed
}

/** The largest finite magnitude of an array's bytes. */
function largestOf(bytes: Uint8Array, like: CaseArray): number {
  let largest = 0
  for (let at = 0; at < like.byteLength; at += like.BYTES_PER_ELEMENT) {
    const magnitude = Math.abs(valueAt(bytes, at, like))
    if (magnitude < Infinity) largest = Math.max(largest, magnitude)
  }
  return largest
}

/** Differences that are shown; the rest are counted. */
const SHOWN = 5

/** One line for each of the first differences, in the buffers' own element types. */
function differences(
  data: CaseData<AnyCommand>,
  expected: Results,
  got: Results,
  rounding: Rounding,
): string[] {
  const { command, agreements } = agreementsOf(data, rounding)
  const lines: string[] = []
  let count = 0
  for (const [name, like] of Object.entries(data.contents)) {
    const a = expected.get(name) ?? new Uint8Array(0)
    const b = got.get(name) ?? new Uint8Array(0)
    if (Buffer.compare(a, b) === 0) continue
    const size = like.BYTES_PER_ELEMENT
    const largest = largestOf(a, like)
    for (let at = 0; at < a.byteLength; at += size) {
      if (Buffer.compare(a.subarray(at, at + size), b.subarray(at, at + size)) === 0) continue
      const agreement = agreements.get(name) ?? 'exact'
      const isResult = at < like.byteLength
      const [wanted, found] = [valueAt(a, at, like), valueAt(b, at, like)]
      if (isResult && agrees(agreement, command, wanted, found, largest)) continue
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
  const own = Buffer.from(bytes.slice(at, at + like.BYTES_PER_ELEMENT))
  return `${valueAt(bytes, at, like)} (0x${own.reverse().toString('hex')})`
}

function valueAt(bytes: Uint8Array, at: number, like: CaseArray): number {
  const { buffer } = bytes.slice(at, at + like.BYTES_PER_ELEMENT)
  return new (like.constructor as new (buffer: ArrayBufferLike) => CaseArray)(buffer)[0]
}

/** Declares the tests. */
export function describeOperation(
  op: string,
  cases: readonly KernelCase<AnyCommand>[],
  backends: readonly OpenBackend[],
): void {
  const reference = createReferenceBackend()

  describe(op, () => {
    describe.each(cases)('$name', ({ create }) => {
      let data: CaseData<AnyCommand>
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
        test.skipIf(backend === undefined)(
          `${title} gives the reference's bytes, or refuses what it has no shader for`,
          async () => {
            if (backend === undefined) return
            if (isRefused(backend, data)) {
              await expect(runCase(backend, data)).rejects.toThrow(
                `Expected operations with a shader, got ${op}.`,
              )
              return
            }
            expect(
              differences(data, expected, await runCase(backend, data), backend.rounding),
            ).toEqual([])
          },
        )
      }
    })
  })
}
