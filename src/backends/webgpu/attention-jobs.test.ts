/** Attention's ways on a GPU give the same bits: turned by itself, by blocks, by tiles, within a product. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingForGpu, openSoftwareGpu } from '../../../test/support/backends.ts'
import { FilledMemory, oneByOne } from '../../../test/support/filled-memory.ts'
import { keyCacheByteLength, valueCacheByteLength } from '../../kernels/attention/layout.ts'
import { validateCommand } from '../../kernels/commands.ts'
import { blockColumns } from '../../kernels/matrices.ts'
import type { Command } from '../../kernels/ops.ts'
import { sliceOf } from '../../kernels/slice.ts'
import { STEP_WORDS, stepColumns } from '../../kernels/step.ts'
import { rotationTable } from '../../kernels/testing/conformance-cases.ts'
import type { Backend } from '../backend.ts'
import { createReferenceBackend } from '../reference/index.ts'
import { jobsOf } from './fuse.ts'

interface Shape {
  readonly type: 'f16' | 'f32'
  readonly headDim: number
  /** Blocks that a sequence may have. */
  readonly columns: number
  /** Of each row. */
  readonly slots: readonly number[]
  readonly positions: readonly number[]
  readonly window?: number
  /** Unset: 2, each for two heads, which share a workgroup. */
  readonly nKvHeads?: number
}

const N_HEADS = 4
const SLOTS = 2
const powers = {
  threads: 256,
  workgroupBytes: 16384,
  bindingBytes: 2 ** 27,
  int8Matrices: false,
  halfMatrices: false,
}

/** Attention and the product of what it gives, on a cache that is full of floats. */
function layerOf(backend: Backend, shape: Shape) {
  const { type, headDim, columns, slots, positions, window, nKvHeads = 2 } = shape
  const rows = slots.length
  const blocks = SLOTS * columns
  const sizes = { type, blocks, nKvHeads, headDim }
  const memory = new FilledMemory(backend)
  const stored = (byteLength: number, label: string) =>
    type === 'f16' ? memory.halves(byteLength / 2, label) : memory.floats(byteLength / 4, label)
  const cache = {
    ...sizes,
    keys: stored(keyCacheByteLength(sizes), 'keys'),
    values: stored(valueCacheByteLength(sizes), 'values'),
  }
  // Blocks in another order than positions are.
  const order = Int32Array.from({ length: blocks }, (_, i) => blocks - 1 - i)
  const table = {
    slots: SLOTS,
    columns,
    data: memory.indices(order, blockColumns(blocks), 'table'),
  }
  const entries = new Int32Array(rows * STEP_WORDS)
  for (const [i, slot] of slots.entries()) entries.set([0, slot, positions[i]], i * STEP_WORDS)
  const limits = { tokens: 1, slots: SLOTS, positions: columns * 256 }
  const step = memory.indices(entries, stepColumns(limits), 'step')
  const table1 = rotationTable(columns * 256, headDim, 10_000)
  const rotations = memory.filled(table1, 'rotations')
  const dim = N_HEADS * headDim
  const qkv = memory.floats(rows * (N_HEADS + 2 * nKvHeads) * headDim, 'qkv', 3)
  const mixed = memory.floats(rows * dim, 'mixed')
  const x = memory.floats(rows * dim, 'x')
  const quantized = memory.quantized(rows, dim)
  const weights = memory.matrix(dim, dim, 'weights')
  const qkvWeights = memory.matrix((N_HEADS + 2 * nKvHeads) * headDim, dim, 'qkv weights')
  const weight = memory.floats(dim, 'norm')
  const eps = 1e-5
  const normed = { op: 'quantize', rows, cols: dim, eps, weight, out: quantized } as const
  const product = { op: 'ternary-matmul', rows, x: quantized } as const
  const commands: Command[] = [
    { ...normed, x },
    { ...product, weights: qkvWeights, out: qkv, accumulate: false },
    { op: 'rope-cache', rows, nHeads: N_HEADS, step, qkv, rotations, cache, table },
    { op: 'attention', rows, nHeads: N_HEADS, step, qkv, cache, table, out: mixed, window },
    { ...normed, x: mixed },
    { ...product, weights, out: x, accumulate: true },
  ]
  return { memory, commands }
}

const span = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i)

const few: readonly (Shape & { readonly jobs: number })[] = [
  { type: 'f16', headDim: 32, columns: 1, slots: [1], positions: [0], jobs: 3 + 5 },
  { type: 'f16', headDim: 32, columns: 2, slots: [0], positions: [130], jobs: 3 + 6 },
  { type: 'f16', headDim: 32, columns: 2, slots: [1], positions: [256], nKvHeads: 4, jobs: 3 + 6 },
  { type: 'f16', headDim: 64, columns: 3, slots: [1], positions: [256], jobs: 3 + 6 },
  { type: 'f32', headDim: 32, columns: 3, slots: [1], positions: [767], jobs: 3 + 6 },
  { type: 'f16', headDim: 32, columns: 3, slots: [0], positions: [611], window: 300, jobs: 3 + 6 },
  { type: 'f16', headDim: 32, columns: 2, slots: [1, 0], positions: [17, 300], jobs: 4 + 6 },
  // Parts are put together where they are normed.
  {
    type: 'f32',
    headDim: 32,
    columns: 2,
    slots: [1, 0, 0],
    positions: [17, 299, 300],
    jobs: 6 + 7,
  },
  // Fewer workgroups than blocks, and four heads in each.
  {
    type: 'f16',
    headDim: 32,
    columns: 6,
    slots: span(0, 64).map((i) => i % 2),
    positions: span(0, 64).map((i) => i * 23),
    window: 600,
    nKvHeads: 1,
    jobs: 6 + 7,
  },
]

describe.skipIf(missingForGpu() !== undefined)('attention on a GPU', () => {
  let gpu: Backend

  beforeAll(async () => {
    gpu = await openSoftwareGpu()
  }, 60_000)

  afterAll(() => gpu.dispose())

  test.each(few)(
    'gives $type heads of $headDim at $positions of $columns blocks, window $window, keys $nKvHeads, the same within a list',
    async ({ jobs, ...shape }) => {
      const one = layerOf(gpu, shape)
      const expected = await one.memory.after(oneByOne([...one.commands, ...one.commands]))
      const all = layerOf(gpu, shape)
      const list = [...all.commands, ...all.commands]
      const made = jobsOf(list.map(validateCommand), powers)
      expect(made.map(({ shader }) => shader)).toHaveLength(jobs)
      expect(await all.memory.after([list])).toEqual(expected)
    },
  )

  test.each([
    { type: 'f16', headDim: 32, columns: 2, slots: Array(70).fill(1), positions: span(200, 70) },
    {
      type: 'f32',
      headDim: 64,
      columns: 2,
      slots: [...Array(33).fill(0), ...Array(33).fill(1)],
      positions: [...span(0, 33), ...span(240, 33)],
      window: 20,
    },
  ] as const)('gives $positions.length rows in tiles what they give in blocks', async (shape) => {
    const { length } = shape.positions
    const { memory, commands } = layerOf(gpu, shape)
    const attention = commands[3]
    if (attention.op !== 'attention') throw new Error('not the attention')
    const together = memory.floats(length * N_HEADS * shape.headDim, 'together')
    const parts = span(0, length).flatMap((first): Command[] => {
      if (first % 12 !== 0) return []
      const rows = Math.min(12, length - first)
      const width = (N_HEADS + 2 * attention.cache.nKvHeads) * shape.headDim * 4
      const outWidth = N_HEADS * shape.headDim * 4
      const { step, qkv, out } = attention
      return [
        {
          ...attention,
          rows,
          step: sliceOf(step, first * STEP_WORDS * 4, rows * STEP_WORDS * 4),
          qkv: sliceOf(qkv, first * width, rows * width),
          out: sliceOf(out, first * outWidth, rows * outWidth),
        },
      ]
    })
    const tiled = { ...attention, out: together }
    expect(jobsOf([validateCommand(tiled)], powers)[0].shader).toBe('attention/tiles')
    const contents = await memory.after([[tiled], parts])
    expect(contents['together']).toEqual(contents['mixed'])
  })
})

test('heads are turned by the product that gives them, on int8 matrices and for floats', () => {
  const shadersOf = (shape: Shape, int8Matrices = true) => {
    const { commands } = layerOf(createReferenceBackend(), shape)
    return jobsOf(commands.map(validateCommand), { ...powers, int8Matrices })
  }
  const shape = { headDim: 32, columns: 2, slots: [0, 1, 1], positions: [5, 300, 301] } as const
  const jobs = shadersOf({ ...shape, type: 'f16' })
  expect(jobs.map(({ shader }) => shader)).toEqual([
    'quantize/tuned',
    'few-product',
    'split-attention',
    'merge-attention',
    'quantize/tuned',
    'few-product',
  ])
  expect(jobs[1].constants).toMatchObject({ ENDING: 3, DIM: 32, TYPE: 1 })
  expect(
    jobs[1].bindings.map((own) => own && 'buffer' in own.memory && own.memory.buffer.label),
  ).toEqual([
    'q',
    'scales',
    'sums',
    'qkv weights',
    'qkv weights scales',
    'qkv',
    'step',
    'rotations',
    'table',
    'keys',
    'values',
  ])
  expect(jobs[2].constants).toMatchObject({ IS_TURNED: 0 })
  expect(shadersOf({ ...shape, type: 'f32' })[1].constants).toMatchObject({ ENDING: 3, TYPE: 0 })
  expect(shadersOf({ ...shape, type: 'f16' }, false)[2].shader).toBe('rope-cache')
  const many = { slots: Array(25).fill(0), positions: span(0, 25) }
  expect(shadersOf({ ...shape, ...many, type: 'f16' })[2].shader).toBe('rope-cache')
})
