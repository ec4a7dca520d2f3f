import { expect, test } from 'vitest'
import type { Program } from '../backends/backend.ts'
import { type PassShape, ProgramCache } from './program-cache.ts'

const SHAPE: PassShape = { rows: 2, logitRows: 1, head: true, targets: 0, draws: '' }

/** A cache, and what has become of the recordings that were made for it. */
function recorder(most: number) {
  const cache = new ProgramCache(most)
  const made: PassShape[] = []
  const disposed: PassShape[] = []
  const get = (shape: PassShape) =>
    cache.get(shape, async () => {
      made.push(shape)
      return { dispose: () => void disposed.push(shape) } as Program
    })
  return { cache, get, made, disposed }
}

test.each([
  { rows: 3 },
  { logitRows: 2 },
  { head: false },
  { targets: 1 },
  { draws: '1,0,0' },
] satisfies Partial<PassShape>[])(
  'a recording is of its own shape alone, and not with %j',
  async (other) => {
    const { get, made } = recorder(8)
    const first = await get(SHAPE)
    const second = await get({ ...SHAPE, ...other })
    expect(second).not.toBe(first)
    expect(await get({ ...SHAPE })).toBe(first)
    expect(await get({ ...SHAPE, ...other })).toBe(second)
    expect(made).toHaveLength(2)
  },
)

test('what was used least lately makes room, and is given back', async () => {
  const { cache, get, made, disposed } = recorder(2)
  const shapes = [1, 2, 3].map((rows) => ({ ...SHAPE, rows }))
  await get(shapes[0])
  await get(shapes[1])
  await get(shapes[0])
  await get(shapes[2])
  expect(disposed).toEqual([shapes[1]])
  await get(shapes[0])
  expect(made).toEqual(shapes)
  cache.clear()
  expect(disposed).toEqual([shapes[1], shapes[2], shapes[0]])
})
