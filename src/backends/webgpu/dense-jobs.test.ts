/** int8 dense products on a GPU are the reference's, bit for bit: their sums are integers. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingForGpu, openSoftwareGpu } from '../../../test/support/backends.ts'
import { FilledMemory } from '../../../test/support/filled-memory.ts'
import { validateCommand } from '../../kernels/commands.ts'
import { packDense } from '../../kernels/dense-matmul/layout.ts'
import type { Command } from '../../kernels/ops.ts'
import { Seeded } from '../../kernels/testing/conformance-cases.ts'
import type { Backend } from '../backend.ts'
import { createReferenceBackend } from '../reference/index.ts'
import { jobsOf } from './fuse.ts'

function productOf(backend: Backend, tokens: number, rows: number, cols: number) {
  const memory = new FilledMemory(backend)
  const values = new Seeded(7).floats(rows * cols, 0.1)
  const { data, scales = new Float32Array(0) } = packDense('int8', values, rows, cols)
  const command: Command = {
    op: 'dense-matmul',
    rows: tokens,
    weights: {
      type: 'int8',
      rows,
      cols,
      data: memory.filled(data, 'data'),
      scales: memory.filled(scales, 'scales'),
    },
    x: memory.floats(tokens * cols, 'x', 3),
    out: memory.floats(tokens * rows, 'out'),
    accumulate: false,
  }
  return { memory, command }
}

const powers = {
  threads: 256,
  workgroupBytes: 16384,
  bindingBytes: 2 ** 27,
  int8Matrices: false,
  halfMatrices: false,
}

describe.skipIf(missingForGpu() !== undefined)('an int8 dense product on a GPU', () => {
  let gpu: Backend

  beforeAll(async () => {
    gpu = await openSoftwareGpu()
  }, 60_000)

  afterAll(() => gpu.dispose())

  test.each([
    [1, 33, 64],
    [2, 17, 20],
    [3, 16, 324],
    [5, 49, 128],
    [17, 40, 192],
  ])('of %i tokens, %i rows and %i columns is the reference', async (tokens, rows, cols) => {
    const expected = productOf(createReferenceBackend(), tokens, rows, cols)
    const own = productOf(gpu, tokens, rows, cols)
    expect(await own.memory.after([[own.command]])).toEqual(
      await expected.memory.after([[expected.command]]),
    )
  })
})

test('runs on int8 matrices from three tokens on, where there are some and columns fit', () => {
  const shadersOf = (tokens: number, cols: number, int8Matrices: boolean) => {
    const { command } = productOf(createReferenceBackend(), tokens, 40, cols)
    return jobsOf([validateCommand(command)], { ...powers, int8Matrices }).map((job) => job.shader)
  }
  expect(shadersOf(2, 64, true)).toEqual(['split-tokens', 'int8-product'])
  expect(shadersOf(3, 64, true)).toEqual(['split-tokens', 'int8-matrix'])
  expect(shadersOf(3, 64, false)).toEqual(['split-tokens', 'int8-product'])
  expect(shadersOf(3, 72, true)).toEqual(['split-tokens', 'int8-product'])
  expect(shadersOf(3, 70, true)).toEqual(['dense-matmul'])
})
