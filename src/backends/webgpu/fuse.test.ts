/**
 * What runs as one dispatch gives what its commands give one by one, bit for bit, and in every buffer that
 * anybody can read.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingForGpu, openSoftwareGpu } from '../../../test/support/backends.ts'
import { FilledMemory, oneByOne } from '../../../test/support/filled-memory.ts'
import { validateCommand } from '../../kernels/commands.ts'
import type { Command } from '../../kernels/ops.ts'
import { sliceOf } from '../../kernels/slice.ts'
import type { Backend } from '../backend.ts'
import { jobsOf } from './fuse.ts'

interface Shape {
  readonly rows: number
  readonly dim: number
  readonly ffnDim: number
}

/** Two layers, so that what is left out in the first is overwritten in the second. */
function blockOf(
  backend: Backend,
  shape: Shape,
  activation: 'relu2' | 'silu' | 'gelu' = 'relu2',
  isScratch = false,
) {
  const { rows, dim, ffnDim } = shape
  const allocate = backend.allocate.bind(backend)
  if (isScratch) backend.allocate = (byteLength, label) => allocate(byteLength, label, 'scratch')
  const memory = new FilledMemory(backend)
  const x = memory.floats(rows * dim, 'x')
  const gateUp = memory.floats(rows * 2 * ffnDim, 'gate and up')
  const hidden = memory.floats(rows * ffnDim, 'hidden')
  const norms = [memory.floats(dim, 'norm'), memory.floats(ffnDim, 'sub-norm')]
  const out = memory.quantized(rows, Math.max(dim, ffnDim))
  const up = memory.matrix(2 * ffnDim, dim, 'gate and up weights')
  const down = memory.matrix(dim, ffnDim, 'down weights')
  const eps = 1e-5
  const layer: Command[] = [
    { op: 'quantize', rows, cols: dim, eps, x, weight: norms[0], out },
    { op: 'ternary-matmul', rows, weights: up, x: out, out: gateUp, accumulate: false },
    { op: 'gated-activation', rows, cols: ffnDim, activation, gateUp, out: hidden },
    { op: 'quantize', rows, cols: ffnDim, eps, x: hidden, weight: norms[1], out },
    { op: 'ternary-matmul', rows, weights: down, x: out, out: x, accumulate: true },
  ]
  return { memory, layer, out, x, up, gateUp }
}

const powers = {
  threads: 1024,
  workgroupBytes: 48 * 1024,
  bindingBytes: 2 ** 27,
  int8Matrices: false,
  halfMatrices: false,
}

describe.skipIf(missingForGpu() !== undefined)('a list on a GPU', () => {
  let gpu: Backend

  beforeAll(async () => {
    gpu = await openSoftwareGpu()
  }, 60_000)

  afterAll(() => gpu.dispose())

  // Of the second layer the activation cannot be part of the product, nor its norm of what it is for.
  test.each([
    { rows: 1, dim: 64, ffnDim: 160, jobs: 2 + 4 },
    { rows: 2, dim: 48, ffnDim: 1056, jobs: 2 + 4 },
    // On int8 matrices the activation is a part of the product here too.
    { rows: 5, dim: 64, ffnDim: 160, jobs: 10 },
    { rows: 40, dim: 64, ffnDim: 176, jobs: 10 },
    // What the first norm leaves is longer than what overwrites it.
    { rows: 1, dim: 2560, ffnDim: 64, jobs: 2 + 5 },
  ])('gives $rows rows of $dim and $ffnDim what its commands give one by one', async (shape) => {
    const one = blockOf(gpu, shape)
    const expected = await one.memory.after(oneByOne([...one.layer, ...one.layer]))
    const all = blockOf(gpu, shape)
    const list = [...all.layer, ...all.layer]
    expect(jobsOf(list.map(validateCommand), powers)).toHaveLength(shape.jobs)
    expect(await all.memory.after([list])).toEqual(expected)
  })

  test.each(['silu', 'gelu'] as const)('gives with %s what its commands give', async (name) => {
    const shape = { rows: 2, dim: 32, ffnDim: 96 }
    const one = blockOf(gpu, shape, name)
    const expected = await one.memory.after(oneByOne([...one.layer, ...one.layer]))
    const all = blockOf(gpu, shape, name)
    expect(await all.memory.after([[...all.layer, ...all.layer]])).toEqual(expected)
  })

  test('gives parts of a matrix, with and without a norm, what they give one by one', async () => {
    const shape = { rows: 2, dim: 80, ffnDim: 72 }
    const parts = ({ layer: [quantize, product], up }: ReturnType<typeof blockOf>) =>
      [
        { first: 0, count: 72 },
        { first: 64, count: 80 },
      ].flatMap((part, i): Command[] => {
        if (quantize.op !== 'quantize' || product.op !== 'ternary-matmul') return []
        const weight = i === 0 ? undefined : quantize.weight
        return [
          { ...quantize, weight },
          { ...product, weights: up, part, accumulate: i === 1 },
        ]
      })
    const one = blockOf(gpu, shape)
    const expected = await one.memory.after(oneByOne([...parts(one), ...parts(one)]))
    const all = blockOf(gpu, shape)
    expect(await all.memory.after([[...parts(all), ...parts(all)]])).toEqual(expected)
  })
})

describe('jobs', () => {
  test('leave nothing out that is read again, or never overwritten', async () => {
    const { createReferenceBackend } = await import('../reference/index.ts')
    const { layer, x, up, out, gateUp } = blockOf(createReferenceBackend(), {
      rows: 1,
      dim: 64,
      ffnDim: 64,
    })
    const counted = (list: readonly Command[]) => jobsOf(list.map(validateCommand), powers).length
    const [quantize, product, activation] = layer
    expect(counted([quantize, product])).toBe(2)
    expect(counted([quantize, product, quantize])).toBe(2)
    const again = { ...product, out: sliceOf(gateUp, 0, gateUp.byteLength) } as Command
    expect(counted([quantize, product, again, quantize])).toBe(4)
    expect(counted([quantize, product, activation, quantize])).toBe(3)
    expect(counted([quantize, product, activation, product, quantize])).toBe(5)
    expect(counted([quantize, product, { ...quantize, cols: 32 } as Command])).toBe(3)
    // What a list leaves in scratch memory nobody asks for.
    const scratch = blockOf(
      createReferenceBackend(),
      { rows: 1, dim: 64, ffnDim: 64 },
      'relu2',
      true,
    )
    expect(counted(scratch.layer)).toBe(2)
    expect(counted([...scratch.layer, scratch.layer[2]])).toBe(4)
    // A few tokens on int8 matrices: the product and the activation of it, with the activation's result.
    const few = blockOf(createReferenceBackend(), { rows: 5, dim: 64, ffnDim: 64 })
    const fewJobs = (list: readonly Command[], int8Matrices: boolean) =>
      jobsOf(list.map(validateCommand), { ...powers, int8Matrices })
    expect(fewJobs(few.layer, false)).toHaveLength(5)
    // Whatever reads gates and ups keeps them.
    expect(fewJobs(few.layer, true)).toHaveLength(5)
    const twice = fewJobs([...few.layer, ...few.layer], true)
    expect(twice.map(({ shader }) => shader)).toEqual([
      'quantize/tuned',
      'few-product',
      'quantize/tuned',
      'few-product',
      'quantize/tuned',
      'few-product',
      'gated-activation/tuned',
      'quantize/tuned',
      'few-product',
    ])
    expect(twice[1].bindings[5]?.memory).toMatchObject({ buffer: { label: 'hidden' } })
    expect(twice[1].constants).toMatchObject({ ENDING: 2, COLS: 64 })
    expect(twice[3].constants).toMatchObject({ ENDING: 1 })
    // As many subgroups as share the columns evenly.
    const wide = blockOf(createReferenceBackend(), { rows: 16, dim: 640, ffnDim: 576 })
    const widths = fewJobs(wide.layer, true).flatMap(({ shader, constants }) =>
      shader === 'few-product'
        ? [[constants?.['COLS'], constants?.['THREADS'], constants?.['DEPTH']]]
        : [],
    )
    expect(widths).toEqual([
      [640, 320, 1],
      [576, 288, 1],
    ])
    // The product must not write to what other workgroups still read.
    const square = { ...up, rows: 64 }
    const inPlace = { op: 'ternary-matmul', rows: 1, weights: square, x: out, out: x } as const
    expect(counted([quantize, { ...inPlace, accumulate: false }, quantize])).toBe(3)
  })
})
