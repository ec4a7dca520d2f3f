/** Memory that programs of a backend in C share. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { addSums, readFloats } from '../../../test/support/contract.ts'
import type { Backend } from '../backend.ts'
import { openNativeBackend } from './native-backend.ts'

let backend: Backend
beforeEach(() => {
  backend = openNativeBackend({ threads: 1 })
})
afterEach(() => backend.dispose())

test('programs work in the same memory, which goes with the last of them', async () => {
  const sums = [8, 64, 16].map((cols) => addSums(backend, 2, cols))
  const before = backend.allocatedBytes
  const taken: number[] = []
  const programs = []
  for (const { command } of sums) {
    programs.push(await backend.record([command]))
    taken.push(backend.allocatedBytes - before)
  }
  // The second needs more, and the third no more than that.
  expect(taken[0]).toBeGreaterThan(0)
  expect(taken[1]).toBeGreaterThan(2 * taken[0])
  expect(taken[2]).toBe(taken[1])
  for (const i of [2, 0, 1, 0, 2]) backend.submit(programs[i])
  const results = await Promise.all(sums.map(({ out }) => readFloats(backend, out)))
  expect(results).toEqual([
    [16, 16],
    [64, 64],
    [32, 32],
  ])
  programs[0].dispose()
  expect(backend.allocatedBytes - before).toBe(taken[1] - taken[0])
  programs[1].dispose()
  backend.submit(programs[2])
  expect(await readFloats(backend, sums[2].out)).toEqual([48, 48])
  programs[2].dispose()
  expect(backend.allocatedBytes).toBe(before)
})
