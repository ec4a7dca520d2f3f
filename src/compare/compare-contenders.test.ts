/**
 * Comparisons on a shape small enough for the reference backend, with a clock that the test moves.
 */

import { describe, expect, test } from 'vitest'
import { sequencesOf } from '../../test/support/sequences.ts'
import { createReferenceBackend } from '../backends/reference/reference-backend.ts'
import { costsOf } from '../bench/costs.ts'
import type { ModelShape } from '../bench/shapes.ts'
import { shapeNamed } from '../bench/shapes.ts'
import { UsageError } from '../errors.ts'
import { ATTENTION_CHUNK } from '../kernels/attention/layout.ts'
import { Decoder } from '../model/decoder.ts'
import { randomWeights } from '../model/weights/random-weights.ts'
import { COLUMNS, columnNamed, memoryShares, planColumn } from './columns.ts'
import { compareContenders } from './compare-contenders.ts'
import { columnContender } from './contender.ts'
import { largestBatch, measureThroughput, neededBytes } from './measure.ts'
import { measuredRatios } from './paper-figures.ts'

const TINY: ModelShape = {
  title: 'tiny',
  dim: 16,
  ffnDim: 32,
  nLayers: 1,
  nHeads: 2,
  nKvHeads: 1,
  headDim: 8,
  vocabSize: 20,
}
const OPTIONS = { packing: '2bit', kv: 'f16' } as const
/** The limit holds all columns at once, and a few sequences of each. */
const RUN = { promptTokens: 6, decodeTokens: 3, runs: 2, memoryLimit: 20_000 }

function columns(backend: ReturnType<typeof createReferenceBackend>) {
  return COLUMNS.map((name) => columnContender(backend, planColumn(name, TINY, 9, OPTIONS)))
}

describe('a column', () => {
  test.each(COLUMNS)('%s takes the bytes that were planned', async (name) => {
    const backend = createReferenceBackend()
    const column = planColumn(name, TINY, 9, OPTIONS)
    const weights = await randomWeights(backend, column.config, column)
    expect(costsOf(column.config, weights, column.memory.cacheBytesPerToken)).toEqual(column.costs)
    expect(memoryShares(column.costs, weights)).toEqual(column.memory)
    expect(weights.byteLength).toBe(column.memory.layerBytes + column.memory.tableBytes)
    weights.dispose()
    expect(backend.allocatedBytes).toBe(0)
  })

  test.each(['125m', '700m', '3b', '7b'] as const)(
    'of ternary weights at %s has layers of less than a seventh of FP16',
    (size) => {
      const [fp16, ternary] = (['fp16', 'b1.58'] as const).map(
        (name) => planColumn(name, shapeNamed(size), 544, OPTIONS).memory.layerBytes,
      )
      expect(fp16 / ternary).toBeGreaterThan(7)
    },
  )

  test('has an f16 head if it is FP16, and the one asked for otherwise', () => {
    const tables = COLUMNS.map(
      (name) => planColumn(name, TINY, 9, { ...OPTIONS, head: 'int4' }).table,
    )
    expect(tables).toEqual(['f16', 'int4', 'int4', 'int4'])
  })

  test('that does not exist is refused with those that do', () => {
    expect(() => columnNamed('fp8')).toThrow(UsageError)
    expect(() => columnNamed('fp8')).toThrow(/fp16, int8, b1.58, b1, got "fp8"/)
  })
})

describe('sequences at once', () => {
  test.each([
    [20, 3, 3],
    [20, 4, 4],
    [20, 7, 4],
    [16, 4, 4],
    [6, 7, 4],
  ])(
    'behind %i tokens, of %i wanted those that four blocks hold',
    async (promptTokens, most, batch) => {
      const backend = createReferenceBackend()
      const column = planColumn('b1.58', TINY, 23, OPTIONS)
      const weights = await randomWeights(backend, column.config, column)
      const cacheMemory = 4 * column.memory.cacheBytesPerToken * ATTENTION_CHUNK
      const decoder = new Decoder(backend, column.config, weights, {
        cacheMemory,
        cacheType: 'f16',
      })
      const running = { backend, decoder, dispose: () => {} }
      // Sixteen tokens are known before, of those behind sixteen all.
      const measured = await measureThroughput(running, most, { ...RUN, promptTokens })
      expect(measured.batch).toBe(batch)
      expect(decoder.cache.stats).toMatchObject({ sequences: 0, kept: 0 })
      decoder.dispose()
      weights.dispose()
      expect(backend.allocatedBytes).toBe(0)
    },
  )
})

describe('random weights', () => {
  test('keep activations of a size that a trained model has', async () => {
    for (const name of COLUMNS) {
      const backend = createReferenceBackend()
      const running = await columnContender(backend, planColumn(name, TINY, 9, OPTIONS)).open({})
      const cache = sequencesOf(running.decoder, { slots: 1, capacity: 9 })
      const logits = await running.decoder.forward(
        cache.place({
          tokens: [3, 7],
          slots: [0, 0],
          positions: [0, 1],
          logitRows: [1],
        }),
      )
      const size = Math.sqrt(logits.reduce((sum, x) => sum + x * x, 0) / logits.length)
      expect(size).toBeGreaterThan(0.2)
      expect(size).toBeLessThan(5)
      running.dispose()
    }
  })
})

describe('a comparison', () => {
  test('gives every column latency and the throughput of the largest batch', async () => {
    const backend = createReferenceBackend()
    let clock = 0
    const contenders = columns(backend)
    const options = { ...RUN, now: () => ++clock }
    const group = await compareContenders('tiny', contenders, options)
    expect(group).toMatchObject({ title: 'tiny', interleaved: true })
    for (const [i, result] of group.results.entries()) {
      // The clock goes on by 1 ms a look: a prompt takes 1 ms, a token a third of one.
      expect(result.latency?.prefillMs).toMatchObject({ mean: 1, standardDeviation: 0 })
      expect(result.latency?.decodeMs.mean).toBeCloseTo(1 / 3, 12)
      const batch = largestBatch(contenders[i], RUN, 16)
      expect(result.throughput?.batch).toBe(batch)
      expect(result.throughput?.tokensPerSecond.mean).toBe(batch * 1000)
      expect(result).not.toHaveProperty('skipped')
    }
    expect(measuredRatios(group.results)?.latency).toBeCloseTo(1, 12)
    expect(backend.allocatedBytes).toBe(0)
  })

  test('runs one by one what does not fit together, and leaves out what does not fit', async () => {
    const backend = createReferenceBackend()
    const contenders = columns(backend)
    const [fp16, int8] = contenders.map((contender) => neededBytes(contender, RUN))
    const alone = await compareContenders('tiny', contenders, { ...RUN, memoryLimit: fp16 })
    expect(alone.interleaved).toBe(false)
    expect(alone.results.every(({ latency }) => latency !== undefined)).toBe(true)
    const small = await compareContenders('tiny', contenders, { ...RUN, memoryLimit: int8 })
    expect(small.results[0]).toMatchObject({ skipped: expect.stringContaining('memory limit') })
    expect(small.results[0]).not.toHaveProperty('latency')
    expect(small.results[0].estimates).toHaveLength(2)
    expect(small.results[1].latency).toBeDefined()
    expect(measuredRatios(small.results)).toMatchObject({ latency: undefined })
  })

  test('reads the meter around each part and divides by its tokens', async () => {
    const backend = createReferenceBackend()
    let joules = 0
    const readJoules = () => (joules += 6)
    const { results } = await compareContenders('tiny', columns(backend), { ...RUN, readJoules })
    expect(results[0].latency?.prefillJoules?.mean).toBe(1)
    expect(results[0].latency?.decodeJoules?.mean).toBe(2)
  })

  test('stops when it is told to, with all memory freed', async () => {
    const backend = createReferenceBackend()
    const controller = new AbortController()
    const onStep = (what: string) => {
      if (what.includes('run 2')) controller.abort(new Error('enough'))
    }
    const { signal } = controller
    const stopped = compareContenders('tiny', columns(backend), { ...RUN, onStep, signal })
    await expect(stopped).rejects.toThrow('enough')
    expect(backend.allocatedBytes).toBe(0)
  })

  test('of nothing is refused', async () => {
    const empty = compareContenders('tiny', [], { ...RUN, promptTokens: 0 })
    await expect(empty).rejects.toThrow(UsageError)
    await expect(empty).rejects.toThrow(/promptTokens .* got 0/)
  })
})
