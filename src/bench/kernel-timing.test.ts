import { describe, expect, test } from 'vitest'
import { testBackends } from '../../test/support/backends.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { UsageError } from '../errors.ts'
import { CACHE_TYPES } from '../kernels/storage.ts'
import { kernelCases, timeKernel } from './kernel-timing.ts'
import { timePasses } from './pass-timing.ts'
import { layerProducts, type ModelShape, shapeNamed, shapeNames, ternaryWeights } from './shapes.ts'

/** The reference takes seconds for 2,048 positions. */
const quick = testBackends().find(({ open }) => open !== undefined)

const TINY: ModelShape = {
  title: 'tiny',
  dim: 20,
  ffnDim: 24,
  nLayers: 2,
  nHeads: 2,
  nKvHeads: 1,
  headDim: 8,
  vocabSize: 40,
}

describe('shapes', () => {
  test('2B-4T has the published number of ternary weights', () => {
    expect(ternaryWeights(shapeNamed('2b-4t'))).toBe(2_084_044_800)
  })

  test('heads of every shape divide', () => {
    for (const name of shapeNames) {
      const { nHeads, nKvHeads } = shapeNamed(name)
      expect(nHeads % nKvHeads).toBe(0)
    }
  })

  test('an unknown name is refused with the known ones', () => {
    expect(() => shapeNamed('7t')).toThrow(UsageError)
    expect(() => shapeNamed('7t')).toThrow(/2b-4t, .*got "7t"/)
  })

  test('q, k and v are one product, gate and up another', () => {
    expect(layerProducts(TINY).map(({ rows, cols }) => [rows, cols])).toEqual([
      [32, 20],
      [20, 16],
      [48, 20],
      [20, 24],
    ])
  })
})

describe('timing operations', () => {
  test.skipIf(quick === undefined)(
    'every case is a valid command, with every cache, and frees what it allocated',
    async () => {
      const backend = await quick?.open?.()
      if (backend === undefined) return
      const before = backend.allocatedBytes
      for (const kv of CACHE_TYPES) {
        for (const kernel of kernelCases(TINY, { kv, packings: ['2bit', 'base3'] })) {
          const timing = await timeKernel(backend, kernel, { budgetMs: 0, maxCopies: 2 })
          expect(timing.name).toBe(kernel.name)
          expect(timing.microseconds.min).toBeGreaterThan(0)
        }
      }
      expect(backend.allocatedBytes).toBe(before)
      backend.dispose()
    },
  )

  test('rates follow from the fastest pass over all copies', async () => {
    const backend = createReferenceBackend()
    const [kernel] = kernelCases(TINY, { kv: 'f16', packings: ['2bit'] })
    let time = 0
    const steps = [0, 0, 8, 0, 4, 0, 6]
    const now = () => (time += steps.shift() ?? 0)
    const timing = await timeKernel(backend, kernel, { budgetMs: 0, maxCopies: 4, now })
    // 8, 4 and 6 ms over four copies each.
    expect(timing.microseconds).toMatchObject({ mean: 1500, min: 1000, max: 2000 })
    expect(timing.macsPerSecond).toBeCloseTo((32 * 20) / 1e-3, 6)
    expect(timing.bytesPerSecond).toBeCloseTo((2 * 2 * 64) / 1e-3, 6)
    backend.dispose()
  })

  test('there are as many copies as the bytes ask for', async () => {
    const backend = createReferenceBackend()
    const [kernel] = kernelCases(TINY, { kv: 'f16', packings: ['2bit'] })
    let time = 0
    const now = () => (time += 6)
    const options = { budgetMs: 0, now, copiesBytes: 2 * kernel.bytes + 1 }
    const timing = await timeKernel(backend, kernel, options)
    expect(timing.microseconds.min).toBe(2000)
    backend.dispose()
  })

  test('a case names its operation, shape and tokens', () => {
    const names = kernelCases(shapeNamed('2b-4t'), { kv: 'int8', packings: ['base3'] }).map(
      ({ name }) => name,
    )
    expect(names).toContain('gate and up 13824 x 2560 base3, 8 tokens')
    expect(names).toContain('attention 20/5 heads int8, 2048 positions, 1 token')
    expect(names).toContain('head int8 128256 x 2560, 1 token')
    expect(names).toContain('head int4 128256 x 2560, 8 tokens')
    expect(new Set(names).size).toBe(names.length)
  })
})

test('passes are timed until the budget is used, the first one never', async () => {
  const durations = [1, 40, 20, 30, 50]
  let time = 0
  let passes = 0
  const pass = async (): Promise<void> => {
    time += durations[passes++]
  }
  const seconds = await timePasses(pass, { budgetMs: 100, now: () => time })
  expect(seconds).toEqual([0.04, 0.02, 0.03, 0.05])
})

test('there are three passes, however long they take', async () => {
  let time = 0
  const pass = async (): Promise<void> => {
    time += 5000
  }
  expect(await timePasses(pass, { budgetMs: 1, now: () => time })).toEqual([5, 5, 5])
})
