/** Where bytes lie when a buffer is cut. */
import { expect, test } from 'vitest'
import { GpuMemory, partBytesOf } from './gpu-memory.ts'

const parts = [0, 1, 2] as unknown as GPUBuffer[]
const places = (memory: GpuMemory, byteOffset: number, byteLength: number) =>
  [...memory.ranges(byteOffset, byteLength)].map((own) => [
    ...[own.buffer, own.byteOffset, own.byteLength],
  ])

test('bytes lie in one part after another', () => {
  const memory = new GpuMemory(parts, 8)
  expect(places(memory, 0, 20)).toEqual([
    [0, 0, 8],
    [1, 0, 8],
    [2, 0, 4],
  ])
  expect(places(memory, 6, 3)).toEqual([
    [0, 6, 2],
    [1, 0, 1],
  ])
  expect(places(memory, 8, 8)).toEqual([[1, 0, 8]])
  expect(places(memory, 19, 1)).toEqual([[2, 3, 1]])
  // Nothing lies somewhere, too; and what is not cut goes on as long as it likes.
  expect(places(memory, 16, 0)).toEqual([[2, 0, 0]])
  expect(places(new GpuMemory(parts.slice(0, 1), 5), 4, 1)).toEqual([[0, 4, 1]])
  expect(places(new GpuMemory(parts.slice(0, 1), 0), 0, 0)).toEqual([[0, 0, 0]])
})

test('parts are whole units', () => {
  expect([partBytesOf(6, 20), partBytesOf(6, 6), partBytesOf(6, 5)]).toEqual([18, 6, undefined])
})
