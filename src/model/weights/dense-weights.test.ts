/** Dense matrices from tensors of every float type, and what is refused. */

import { beforeEach, describe, expect, test } from 'vitest'
import type { Backend } from '../../backends/backend.ts'
import { createReferenceBackend } from '../../backends/reference/index.ts'
import { FormatError, UsageError } from '../../errors.ts'
import { encodeDense } from '../../formats/dense-codecs.ts'
import { memorySource } from '../../formats/memory-source.ts'
import { unpackDense } from '../../kernels/dense-matmul/layout.ts'
import type { DenseMatrix } from '../../kernels/matrices.ts'
import type { DenseType } from '../../kernels/storage.ts'
import { BufferOwner } from '../buffer-owner.ts'
import { loadDenseMatrix, tableType } from './dense-weights.ts'
import type { MatrixPart } from './weight-plan.ts'

const ROWS = 20
const COLS = 36
const FLOATS = ['F32', 'F16', 'BF16'] as const

let backend: Backend

beforeEach(() => {
  backend = createReferenceBackend()
})

/** Multiples of 1/8 from -4 to 4, exact in every type; `edit` changes them. */
function values(edit: (values: Float32Array) => void = () => {}): Float32Array {
  const all = Float32Array.from({ length: ROWS * COLS }, (_, i) => (((i * 37) % 65) - 32) / 8)
  edit(all)
  return all
}

function part(name: string, type: (typeof FLOATS)[number], content: Float32Array): MatrixPart {
  const bytes = encodeDense(type, content)
  const source = memorySource(bytes, 'weights.gguf')
  const tensor = { name, type, shape: [ROWS, COLS], source, offset: 0, byteLength: bytes.length }
  return { tensor, rows: ROWS, cols: COLS, interleavedHeadDim: 0 }
}

function load(parts: readonly MatrixPart[], type: DenseType): Promise<DenseMatrix> {
  const file = { format: 'gguf' as const, name: 'weights.gguf', tensors: new Map() }
  const loading = {
    file: { ...file, close: async () => {} },
    owner: new BufferOwner(backend),
    signal: undefined,
    report: () => {},
  }
  return loadDenseMatrix(loading, parts, type, 'matrix')
}

async function valuesOf({ type, rows, cols, data, scales }: DenseMatrix): Promise<Float32Array> {
  const bytes = await backend.read(data)
  const rowScales = scales && (await backend.read(scales)).slice()
  return unpackDense({
    type,
    rows,
    cols,
    data: bytes.slice(),
    scales: rowScales && new Float32Array(rowScales.buffer),
  })
}

describe('a matrix', () => {
  test.each(FLOATS)('of %s values is the same in f32 and f16', async (type) => {
    for (const held of ['f32', 'f16'] as const) {
      expect(await valuesOf(await load([part('a', type, values())], held))).toEqual(values())
    }
  })

  test.each(FLOATS)('of %s values has the same int8 weights in int8 and int4', async (type) => {
    const int8 = await valuesOf(await load([part('a', type, values())], 'int8'))
    expect(await valuesOf(await load([part('a', type, values())], 'int4'))).toEqual(int8)
    for (const [i, value] of values().entries()) {
      expect(Math.abs(int8[i] - value)).toBeLessThan(4 / 127 / 2 + 1e-6)
    }
  })

  test('may be stacked from tensors of different types', async () => {
    const matrix = await load(
      FLOATS.map((type, i) =>
        part(
          type,
          type,
          values((v) => v.fill(i, 0, 3)),
        ),
      ),
      'f16',
    )
    const got = await valuesOf(matrix)
    expect(matrix.rows).toBe(3 * ROWS)
    for (const i of FLOATS.keys()) {
      const expected = values((v) => v.fill(i, 0, 3))
      expect(got.subarray(i * ROWS * COLS, (i + 1) * ROWS * COLS)).toEqual(expected)
    }
  })

  test('of the largest value that f16 has stays f16', async () => {
    const large = values((v) => v.fill(-65504, 100, 101))
    const matrix = await load([part('a', 'F32', large)], 'f16')
    expect(matrix.type).toBe('f16')
    expect(await valuesOf(matrix)).toEqual(large)
  })

  test.each(['F32', 'BF16'] as const)('of %s values beyond f16 becomes f32', async (type) => {
    const large = values((v) => v.fill(-65536, 100, 101))
    const matrix = await load([part('a', type, large)], 'f16')
    expect(matrix.type).toBe('f32')
    expect(await valuesOf(matrix)).toEqual(large)
  })
})

describe.each(['f32', 'f16', 'int8', 'int4'] as const)('a matrix held as %s', (held) => {
  test.each(
    FLOATS.flatMap((type) => [Number.NaN, Infinity, -Infinity].map((value) => ({ type, value }))),
  )('is refused for $value among $type values, by its tensor', async ({ type, value }) => {
    const parts = [
      part('good', type, values()),
      part(
        'bad',
        type,
        values((v) => v.fill(value, 77, 78)),
      ),
    ]
    const error = await load(parts, held).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(FormatError)
    expect(error).toMatchObject({ field: 'bad', path: 'weights.gguf' })
  })
})

test('large tables are int8 unless something else is asked for', () => {
  const small = part('a', 'BF16', values())
  const large = { ...small, rows: 1 << 16, cols: 1 << 9 }
  expect(tableType(small, undefined)).toBe('f16')
  expect(tableType({ ...large, rows: large.rows - 1 }, undefined)).toBe('f16')
  expect(tableType(large, undefined)).toBe('int8')
  expect(tableType(large, 'int4')).toBe('int4')
  expect(tableType(small, 'int4')).toBe('int4')
  expect(() => tableType(small, 'int3' as 'int4')).toThrow(UsageError)
})
