/** Matrices that are too large for a binding give the bits that they give as a whole. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingForGpu, softwareGpu } from '../../../test/support/backends.ts'
import { cutByteLength, denseByteLength } from '../../kernels/dense-matmul/layout.ts'
import type { Command } from '../../kernels/ops.ts'
import { sliceOf } from '../../kernels/slice.ts'
import { stepColumns } from '../../kernels/step.ts'
import type { DenseType } from '../../kernels/storage.ts'
import { Seeded } from '../../kernels/testing/conformance-cases.ts'
import { padToTile } from '../../ternary/index.ts'
import type { Backend } from '../backend.ts'
import { BASE_ISA, openWebGpuBackend, TUNED_ISA } from './webgpu-backend.ts'

const ROWS = 1000
const COLS = 70
/** Beside the borders of parts, too. */
const TOKENS = [0, 463, 464, 911, 912, 999]
/** Of a binding: rows of a matrix with two bytes to an element have 2 parts and a rest. */
const MOST_BYTES = 66_000

type Results = Record<'data' | 'product' | 'rows', Uint8Array>

/** Packs a matrix, the last rows alone, multiplies with it, and looks rows of it up. */
async function results(backend: Backend, type: DenseType): Promise<Results> {
  const seeded = new Seeded(7)
  const filled = (values: ArrayBufferView) => {
    const own = backend.allocate(values.byteLength, 'values')
    const { buffer, byteOffset, byteLength } = values
    backend.write(own, 0, new Uint8Array(buffer, byteOffset, byteLength))
    return own
  }
  const byteLength = denseByteLength(type, ROWS, COLS)
  const matrix = {
    ...{ type, rows: ROWS, cols: COLS },
    data: backend.allocate(byteLength, 'matrix', 'weights', cutByteLength(type, COLS)),
    scales: backend.allocate(padToTile(ROWS) * 4, 'scales'),
  }
  const values = seeded.floats(ROWS * COLS, 0.5)
  const pack = (firstRow: number, end: number): Command => ({
    ...{ op: 'pack-dense', rows: end - firstRow, firstRow, out: matrix },
    values: filled(values.slice(firstRow * COLS, end * COLS)),
  })
  const columns = stepColumns({ tokens: ROWS, slots: 1, positions: 1 })
  const step = backend.allocateIndices(TOKENS.length, columns, 'step')
  const words = Int32Array.from(TOKENS.flatMap((token) => [token, 0, 0, 0]))
  backend.write(step, 0, new Uint8Array(words.buffer))
  const x = filled(seeded.floats(TOKENS.length * COLS, 4))
  const product = filled(new Float32Array(TOKENS.length * ROWS).fill(3))
  const rows = backend.allocate(TOKENS.length * COLS * 4, 'rows')
  const program = await backend.record([
    ...[0, 200, 400, 600, 800].map((first) => pack(first, first + 200)),
    { op: 'dense-matmul', rows: TOKENS.length, weights: matrix, x, out: product, accumulate: true },
    { op: 'embed', rows: TOKENS.length, step, table: matrix, factor: 0.5, out: rows },
  ])
  backend.submit(program)
  const [data, ...others] = await Promise.all(
    [matrix.data, product, rows].map((own) => backend.read(own)),
  )
  // Bytes across a border, written by hand.
  const at = Math.floor(MOST_BYTES / 4) * 4 - 10
  const bytes = Uint8Array.from({ length: 31 }, (_, i) => i)
  if (at + 31 <= byteLength) {
    backend.write(matrix.data, at, bytes)
    const read = await backend.read(sliceOf(matrix.data, at, bytes.byteLength))
    expect([...read]).toEqual([...bytes])
  }
  return { data, product: others[0], rows: others[1] }
}

describe.skipIf(missingForGpu() !== undefined)('a GPU with small bindings', () => {
  let whole: Backend
  let cut: Backend
  const isas = [BASE_ISA, TUNED_ISA]

  describe.each(isas)('%s', (isa) => {
    beforeAll(async () => {
      whole = await openWebGpuBackend(await softwareGpu(), isa)
      cut = await openWebGpuBackend(await softwareGpu(), isa, [], { mostBytes: MOST_BYTES })
    }, 60_000)
    afterAll(async () => {
      await whole.dispose()
      await cut.dispose()
    })

    test.each(['f32', 'f16', 'int8'] as const)(
      'has a matrix of %s by stripes',
      async (type) => {
        const [expected, got] = [await results(whole, type), await results(cut, type)]
        expect(got.data).toEqual(expected.data)
        expect(got.rows).toEqual(expected.rows)
        // Sums of the base, whatever the variant.
        if (isa === BASE_ISA) expect(got.product).toEqual(expected.product)
      },
      120_000,
    )

    test('refuses what has no stripes, with both numbers', async () => {
      const byteLength = denseByteLength('int4', ROWS, 256)
      const [data, values] = [byteLength, 16 * 256 * 4].map((own) => cut.allocate(own, 'matrix'))
      const scales = cut.allocate(padToTile(ROWS) * 4, 'scales')
      const out = { type: 'int4', rows: ROWS, cols: 256, data, scales } as const
      await expect(
        cut.record([{ op: 'pack-dense', rows: 16, firstRow: 0, values, out }]),
      ).rejects.toThrow(/above the 66000 bytes .* got 258048/)
    })
  })
})
