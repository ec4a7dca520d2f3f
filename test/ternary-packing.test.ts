/** A model gives the same bits whichever layout its ternary weights have in memory. */

import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Program } from '../src/backends/backend.ts'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import type { TernaryPacking } from '../src/kernels/storage.ts'
import { choosePacking } from '../src/model/weights/ternary-packing.ts'
import { testBackends } from './support/backends.ts'
import { openEngine, promptBatch } from './support/engine.ts'
import { tinyModel } from './support/fixtures.ts'
import { sequencesOf } from './support/sequences.ts'

const folder = tinyModel('bitnet-packed')
const ids = [507, 201, 225, 307, 179, 253, 127]

const backends = [{ title: 'reference', open: createReferenceBackend }, ...testBackends()]

for (const { title, open } of backends) {
  test.skipIf(open === undefined)(
    `${title}: 1.6 bits a weight give the logits of 2 bits`,
    async () => {
      if (open === undefined) return
      const results = []
      for (const weights of ['2bit', 'base3'] as const) {
        await using engine = await openEngine(folder, await open(), { weights })
        const cache = sequencesOf(engine.decoder, { slots: 1, capacity: 16 })
        results.push((await engine.decoder.forward(cache.place(promptBatch(ids, 'all')))).slice())
      }
      expect(results[1]).toEqual(results[0])
    },
  )
}

describe('where both layouts can be had', () => {
  afterEach(() => vi.restoreAllMocks())

  /** A processor on which passes take the given times; their median is what counts. */
  async function chosen(msOf: (packing: TernaryPacking, pass: number, rows: number) => number) {
    let now = 0
    vi.spyOn(performance, 'now').mockImplementation(() => now)
    const backend = createReferenceBackend()
    Object.defineProperty(backend, 'isa', { value: 'x86-amx' })
    const timed = new Map<Program, { packing: TernaryPacking; rows: number; passes: number }>()
    const record = backend.record.bind(backend)
    vi.spyOn(backend, 'record').mockImplementation(async ([command]) => {
      const program = await record([])
      if (command?.op === 'ternary-matmul') {
        const packing = command.weights.packing ?? '2bit'
        timed.set(program, { packing, rows: command.rows, passes: 0 })
      }
      return program
    })
    vi.spyOn(backend, 'submit').mockImplementation((program) => {
      const pass = timed.get(program)
      if (pass !== undefined) now += msOf(pass.packing, pass.passes++, pass.rows)
    })
    return choosePacking(backend, 'auto', 2 ** 30)
  }

  test('1.6 bits are taken up to a twentieth slower than 2', async () => {
    expect(await chosen((packing) => (packing === '2bit' ? 1000 : 1050))).toBe('base3')
    expect(await chosen((packing) => (packing === '2bit' ? 1000 : 1051))).toBe('2bit')
  })

  test('they are not taken where prompts pay for it, or where tokens do', async () => {
    const slowFor =
      (rowsOf: (rows: number) => boolean) => (packing: TernaryPacking, _: number, rows: number) =>
        packing === 'base3' && rowsOf(rows) ? 2300 : 1000
    expect(await chosen(slowFor((rows) => rows > 1))).toBe('2bit')
    expect(await chosen(slowFor((rows) => rows === 1))).toBe('2bit')
    expect(await chosen(slowFor(() => false))).toBe('base3')
  })

  test('the first pass and a few slow ones change nothing', async () => {
    const slow = (passes: number[]) => (packing: TernaryPacking, pass: number) =>
      packing === 'base3' && passes.includes(pass) ? 9000 : 1000
    expect(await chosen(slow([0, 2, 3, 6]))).toBe('base3')
    expect(await chosen(slow([2, 3, 6, 7]))).toBe('2bit')
  })
})

test('a layout that is asked for is taken, and small models stay at 2 bits', async () => {
  const backend = createReferenceBackend()
  expect(await choosePacking(backend, 'base3', 1)).toBe('base3')
  expect(await choosePacking(backend, 'auto', 1)).toBe('2bit')
  expect(await choosePacking(backend, 'auto', 2 ** 40)).toBe('2bit')
})
