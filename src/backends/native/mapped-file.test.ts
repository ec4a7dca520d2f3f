/** Buffers over mapped files: that kernels copy the sparse end from the file, and notice where it is cut. */

import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BackendError } from '../../errors.ts'
import { type PackedDense, packDense } from '../../kernels/dense-matmul/layout.ts'
import { embed } from '../../kernels/embed/reference.ts'
import { headMatmul } from '../../kernels/head-matmul/reference.ts'
import type { Command } from '../../kernels/ops.ts'
import type { DeviceBuffer } from '../../kernels/slice.ts'
import { stepColumns } from '../../kernels/step.ts'
import { Seeded } from '../../kernels/testing/conformance-cases.ts'
import type { Backend } from '../backend.ts'
import { TAIL_BYTES } from '../list-backend.ts'
import { openNativeBackend } from './native-backend.ts'

const ROWS = 100
/** A page of any system. */
const START = 16384
/** One piece that is copied at once and a part of the next one; whole tiles and a part of one. */
const WIDE = 4100
/** Enough that either plane has whole pages. */
const PAGES = 1000

let folder = ''
let backend: Backend
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mapped-'))
  backend = openNativeBackend({ threads: 2 })
})
afterEach(async () => {
  backend.dispose()
  await rm(folder, { recursive: true })
})

function packed(cols: number): PackedDense {
  return packDense('int4', new Seeded(cols).floats(ROWS * cols, 0.1), ROWS, cols)
}

/** A file of the matrix, whose low nibbles are sparse. */
async function fileOf({ data }: PackedDense, path: string) {
  const bytes = new Uint8Array(START + data.length + TAIL_BYTES)
  bytes.set(data, START)
  await writeFile(path, bytes)
  const file = await backend.files?.map(path)
  if (file === undefined) throw new Error('The native backend maps no files.')
  const byteLength = data.length
  return {
    file,
    range: { label: 'table', byteOffset: START, byteLength, sparseBytes: byteLength / 2 },
  }
}

async function mapped(matrix: PackedDense, path: string): Promise<DeviceBuffer> {
  const { file, range } = await fileOf(matrix, path)
  const buffer = file.buffer(range)
  file.close()
  return buffer
}

function bufferOf(label: string, values: Float32Array | Int32Array | Uint8Array): DeviceBuffer {
  const buffer = backend.allocate(values.byteLength, label)
  backend.write(buffer, 0, new Uint8Array(values.buffer))
  return buffer
}

function indicesOf(step: Int32Array): DeviceBuffer {
  const columns = stepColumns({ tokens: ROWS, slots: 1, positions: 3 })
  const buffer = backend.allocateIndices(step.length / columns.length, columns, 'step')
  backend.write(buffer, 0, new Uint8Array(step.buffer))
  return buffer
}

/** The operations that read an int4 table, for a few tokens, and what they must give. */
function operations(matrix: PackedDense, data: DeviceBuffer) {
  const { cols } = matrix
  const step = Int32Array.of(0, 0, 0, 0, 15, 0, 1, 0, ROWS - 1, 0, 2, 0)
  const tokens = step.length / 4
  const x = new Seeded(1).floats(tokens * cols, 4)
  const scales = bufferOf('scales', matrix.scales ?? new Float32Array(0))
  const table = { type: 'int4', rows: ROWS, cols, data, scales } as const
  const out = {
    embed: bufferOf('embedded', new Float32Array(tokens * cols)),
    head: bufferOf('logits', new Float32Array(tokens * ROWS)),
  }
  const commands: Command[] = [
    { op: 'embed', rows: tokens, step: indicesOf(step), table, out: out.embed },
    {
      op: 'head-matmul',
      rows: tokens,
      weights: table,
      x: bufferOf('x', x),
      out: out.head,
      exactStripes: 5,
    },
  ]
  const expected = {
    embed: new Float32Array(tokens * cols),
    head: new Float32Array(tokens * ROWS),
  }
  embed(expected.embed, step, matrix, tokens)
  headMatmul(expected.head, x, matrix, tokens, 5)
  return { commands, out, expected }
}

async function floats(buffer: DeviceBuffer): Promise<Float32Array> {
  return new Float32Array((await backend.read(buffer)).buffer)
}

test.each([1, 20, 96, WIDE])(
  'an int4 table of %i columns gives the same from a file',
  async (cols) => {
    const matrix = packed(cols)
    const data = await mapped(matrix, join(folder, 'table'))
    const { commands, out, expected } = operations(matrix, data)
    backend.submit(await backend.record(commands))
    expect(await floats(out.embed)).toEqual(expected.embed)
    expect(await floats(out.head)).toEqual(expected.head)
  },
)

test('a file that is gone by name is read all the same', async () => {
  const matrix = packed(96)
  const path = join(folder, 'table')
  const { commands, out, expected } = operations(matrix, await mapped(matrix, path))
  await rm(path)
  backend.submit(await backend.record(commands))
  expect(await floats(out.head)).toEqual(expected.head)
})

test('a pass fails, and every later one, where the file of its weights was cut', async () => {
  const matrix = packed(96)
  const path = join(folder, 'table')
  const program = await backend.record(operations(matrix, await mapped(matrix, path)).commands)
  backend.submit(program)
  await backend.done()
  // The high nibbles stay: what is mapped and gone would end the process.
  await truncate(path, START + matrix.data.length / 2)
  backend.submit(program)
  await expect(backend.done()).rejects.toThrow(BackendError)
  backend.submit(program)
  await expect(backend.done()).rejects.toThrow(/weights was cut/)
  await expect(backend.read(backend.allocate(4, 'late'))).rejects.toThrow(/weights was cut/)
})

describe.skipIf(process.platform === 'win32')('the sparse end of memory that a file takes', () => {
  test('gives the same to programs that were recorded before', async () => {
    const matrix = packed(PAGES)
    const data = bufferOf('table', matrix.data)
    const { commands, out, expected } = operations(matrix, data)
    const program = await backend.record(commands)
    const { file, range } = await fileOf(matrix, join(folder, 'table'))
    await file.takeSparseEnd(data, range)
    file.close()
    backend.submit(program)
    expect(await floats(out.embed)).toEqual(expected.embed)
    expect(await floats(out.head)).toEqual(expected.head)
    expect(await backend.read(data)).toEqual(matrix.data)
    expect(() => backend.write(data, 0, matrix.data)).toThrow(BackendError)
  })

  test('is read from the file, and a pass fails where that was cut', async () => {
    const matrix = packed(PAGES)
    const data = bufferOf('table', matrix.data)
    const path = join(folder, 'table')
    const { file, range } = await fileOf(matrix, path)
    await file.takeSparseEnd(data, range)
    file.close()
    await truncate(path, START)
    backend.submit(await backend.record(operations(matrix, data).commands))
    await expect(backend.done()).rejects.toThrow(/weights was cut/)
  })
})
