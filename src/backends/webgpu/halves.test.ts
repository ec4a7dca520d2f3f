import { expect, test } from 'vitest'
import { validateCommand } from '../../kernels/commands.ts'
import type { Command } from '../../kernels/ops.ts'
import { WholeBuffer } from '../../kernels/slice.ts'
import { jobsOf } from './fuse.ts'
import type { Powers } from './tuned.ts'

const powers: Powers = {
  threads: 1024,
  workgroupBytes: 48 * 1024,
  bindingBytes: 2 ** 27,
  int8Matrices: false,
  halfMatrices: true,
}
const buffer = (name: string) => new WholeBuffer(name, 64 * 64 * 4)
const [x, y, first, second] = ['x', 'y', 'first', 'second'].map(buffer)

function product(a: WholeBuffer, b: WholeBuffer, out: WholeBuffer): Command {
  return { op: 'matmul', rows: 64, cols: 64, inner: 64, a, b, out, halves: true }
}

function jobs(commands: readonly Command[], own: Powers = powers) {
  return jobsOf(commands.map(validateCommand), own)
}

function shadersOf(commands: readonly Command[], own?: Powers): string[] {
  return jobs(commands, own).map(({ shader }) => shader)
}

test('an operand of several products is rounded once', () => {
  expect(shadersOf([product(x, y, first), product(x, y, second)])).toEqual([
    'round-halves',
    'round-halves',
    'matmul/halves',
    'matmul/halves',
  ])
  expect(shadersOf([product(x, y, first), product(x, first, second)])).toEqual([
    'round-halves',
    'round-halves',
    'matmul/halves',
    'round-halves',
    'matmul/halves',
  ])
})

test('what was written to since is rounded again', () => {
  const copied: Command = { op: 'axpy', rows: 64, cols: 64, scale: 1, x: y, out: x }
  expect(shadersOf([product(x, y, first), copied, product(x, y, second)])).toEqual([
    'round-halves',
    'round-halves',
    'matmul/halves',
    'axpy',
    'round-halves',
    'matmul/halves',
  ])
})

test('products read what was rounded, of half the bytes', () => {
  const [a, b, last] = jobs([product(x, y, first)])
  expect(last.bindings.slice(0, 2)).toEqual([
    { memory: { scratch: 'halves of a', byteLength: 8192 }, access: 'read' },
    { memory: { scratch: 'halves of b', byteLength: 8192 }, access: 'read' },
  ])
  expect([a, b].map(({ bindings }) => bindings[0]?.memory)).toEqual([
    expect.objectContaining({ buffer: x }),
    expect.objectContaining({ buffer: y }),
  ])
})

test('without room for its tiles, or without such matrices, no product is of halves', () => {
  for (const lacking of [{ workgroupBytes: 32768 }, { halfMatrices: false }]) {
    expect(shadersOf([product(x, y, first)], { ...powers, ...lacking })).toEqual(['matmul'])
  }
})
