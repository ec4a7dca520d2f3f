/** Bytes in memory as a source: what lies outside of them is refused. */
import { expect, test } from 'vitest'
import { FormatError } from '../errors.ts'
import { memorySource } from './memory-source.ts'

const source = memorySource(Uint8Array.of(1, 2, 3, 4), 'four')

test.each([
  [0, 4, [1, 2, 3, 4]],
  [3, 1, [4]],
  [4, 0, []],
])('from %i on, %i bytes are there', async (offset, length, bytes) => {
  expect(await source.read(offset, length)).toEqual(Uint8Array.from(bytes))
})

test.each([
  [0, 5],
  [3, 2],
  [5, 0],
  [-1, 1],
  [0, -1],
  [0.5, 1],
  [0, Number.NaN],
  [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
])('from %d on, %d bytes are not', async (offset, length) => {
  await expect(source.read(offset, length)).rejects.toThrow(FormatError)
})
