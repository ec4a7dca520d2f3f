/** Commands that must not reach a kernel, and what the errors say. */

import { describe, expect, test } from 'vitest'
import { ShapeError } from '../errors.ts'
import { validateCommand } from './commands.ts'
import type { Command } from './ops.ts'
import { type DeviceBuffer, sliceOf, WholeBuffer } from './slice.ts'

function buffer(label: string, byteLength: number): DeviceBuffer {
  return new WholeBuffer(label, byteLength)
}

const norm: Extract<Command, { op: 'rms-norm' }> = {
  op: 'rms-norm',
  rows: 2,
  cols: 8,
  eps: 1e-5,
  x: buffer('x', 64),
  weight: buffer('weight', 32),
  out: buffer('out', 64),
}

const attention: Extract<Command, { op: 'attention' }> = {
  op: 'attention',
  rows: 1,
  nHeads: 4,
  step: buffer('step', 16),
  qkv: buffer('qkv', 8 * 8 * 4),
  cache: {
    keys: buffer('keys', 2 * 256 * 8 * 2),
    values: buffer('values', 2 * 256 * 16 * 2),
    blocks: 1,
    nKvHeads: 2,
    headDim: 8,
  },
  table: { data: buffer('table', 3 * 2 * 4), slots: 3, columns: 2 },
  out: buffer('out', 4 * 8 * 4),
}

const product: Extract<Command, { op: 'dense-matmul' }> = {
  op: 'dense-matmul',
  rows: 1,
  weights: {
    type: 'int8',
    rows: 17,
    cols: 5,
    data: buffer('data', 2 * 8 * 16),
    scales: buffer('scales', 32 * 4),
  },
  x: buffer('x', 20),
  out: buffer('out', 68),
  accumulate: false,
}

const head: Extract<Command, { op: 'head-matmul' }> = {
  op: 'head-matmul',
  rows: 1,
  weights: {
    type: 'int4',
    rows: 17,
    cols: 5,
    data: buffer('data', 2 * (2 * 64)),
    scales: buffer('scales', 32 * 4),
  },
  x: buffer('x', 20),
  out: buffer('out', 68),
  exactStripes: 1,
}

const pack: Extract<Command, { op: 'pack-dense' }> = {
  op: 'pack-dense',
  rows: 2,
  firstRow: 15,
  values: buffer('values', 2 * 5 * 2),
  valuesType: 'bf16',
  out: head.weights,
}

test('commands whose buffers just suffice are accepted', () => {
  for (const command of [norm, attention, product, head, pack]) {
    expect(() => validateCommand(command)).not.toThrow()
  }
})

test('rms-norm may work in place', () => {
  expect(() => validateCommand({ ...norm, out: norm.x })).not.toThrow()
})

describe('slices of one arena', () => {
  const arena = buffer('arena', 1024)
  const at = (byteOffset: number, byteLength = 64) => sliceOf(arena, byteOffset, byteLength)
  const inArena = { ...norm, x: at(64), weight: at(128), out: at(192) }

  test('are accepted where they are disjoint', () => {
    expect(() => validateCommand(inArena)).not.toThrow()
    expect(() => validateCommand({ ...inArena, x: at(0, 128), weight: at(0) })).not.toThrow()
  })

  test('may be the same memory only where that is in place, and then all of it', () => {
    expect(() => validateCommand({ ...inArena, out: at(64) })).not.toThrow()
    for (const out of [at(0, 128), at(64, 128), at(64, 65), at(0, 1024), arena]) {
      expect(() => validateCommand({ ...inArena, out })).toThrow('out of rms-norm')
    }
  })

  test('are refused where one that changes overlaps another', () => {
    for (const out of [at(128), at(0, 129), at(128, 256)]) {
      expect(() => validateCommand({ ...inArena, x: at(512), out })).toThrow('overlaps')
    }
  })

  test('are refused where they begin between the places that kernels can read from', () => {
    for (const byteOffset of [4, 16, 32, 63, 65]) {
      const command = { ...inArena, out: at(256 + byteOffset) }
      expect(() => validateCommand(command)).toThrow(ShapeError)
      expect(() => validateCommand(command)).toThrow('a multiple of 64')
    }
  })

  test('lie within their buffer', () => {
    expect(sliceOf(arena, 960, 64, 'end')).toEqual({
      label: 'end',
      buffer: arena,
      byteOffset: 960,
      byteLength: 64,
    })
    const outside = [
      [-64, 64],
      [1024, 1],
      [960, 65],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN],
    ]
    for (const [byteOffset, byteLength] of outside) {
      expect(() => sliceOf(arena, byteOffset, byteLength)).toThrow(ShapeError)
    }
  })
})

describe('refused with a ShapeError that names the operand', () => {
  const { weights } = product
  const { cache, table } = attention
  test.each<[string, Command]>([
    ['rows', { ...norm, rows: 0 }],
    ['rows', { ...norm, rows: 1.5 }],
    ['rows', { ...norm, rows: Number.NaN }],
    ['cols', { ...norm, cols: -8 }],
    ['cols', { ...norm, cols: 2 ** 40 }],
    ['eps', { ...norm, eps: Number.NaN }],
    ['x', { ...norm, x: buffer('x', 63) }],
    ['out', { ...norm, out: norm.weight }],
    ['nHeads', { ...attention, nHeads: 3 }],
    ['cache.blocks', { ...attention, cache: { ...cache, blocks: 0 } }],
    ['table.slots', { ...attention, table: { ...table, slots: 0 } }],
    ['table.columns', { ...attention, table: { ...table, columns: 2 ** 23 + 1 } }],
    ['table.data', { ...attention, table: { ...table, slots: 4 } }],
    ['cache.headDim', { ...attention, cache: { ...cache, headDim: 7 } }],
    ['cache.headDim', { ...attention, cache: { ...cache, headDim: 258 } }],
    ['cache.values', { ...attention, cache: { ...cache, values: buffer('v', 2 * 256 * 8 * 2) } }],
    ['out', { ...attention, out: attention.qkv }],
    ['weights.scales', { ...product, weights: { ...weights, scales: undefined } }],
    ['weights.scales', { ...product, weights: { ...weights, scales: buffer('s', 68) } }],
    ['weights.cols', { ...product, weights: { ...weights, cols: 131073 } }],
    ['weights.data', { ...product, weights: { ...weights, data: buffer('d', 255) } }],
    ['out', { ...product, out: product.x }],
    ['weights.type', { ...product, weights: head.weights }],
    ['weights.type', { ...head, weights }],
    ['weights.cols', { ...head, weights: { ...head.weights, cols: 32769 } }],
    ['weights.data', { ...head, weights: { ...head.weights, data: buffer('d', 255) } }],
    ['weights.scales', { ...head, weights: { ...head.weights, scales: undefined } }],
    ['exactStripes', { ...head, exactStripes: 0 }],
    ['exactStripes', { ...head, exactStripes: 1.5 }],
    ['out', { ...head, out: buffer('o', 67) }],
    ['values', { ...pack, values: buffer('v', 19) }],
    ['values', { ...pack, valuesType: 'f32' }],
    ['firstRow', { ...pack, firstRow: 16 }],
  ])('%s', (name, command) => {
    expect(() => validateCommand(command)).toThrow(ShapeError)
    expect(() => validateCommand(command)).toThrow(name)
    expect(() => validateCommand(command)).toThrow(command.op)
  })
})
