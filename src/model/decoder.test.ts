/** The decoder on a small dense model: what a pass accepts, and that batching changes no bit. */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { plainLogits } from '../../test/support/plain-decoder.ts'
import { type OwnSequences, sequencesOf } from '../../test/support/sequences.ts'
import { smallModel } from '../../test/support/small-model.ts'
import type { Backend } from '../backends/backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { ContextOverflowError, UsageError } from '../errors.ts'
import { readConfig } from './config/read-config.ts'
import { Decoder } from './decoder.ts'
import type { DecoderOptions } from './decoder-options.ts'
import type { RowBatch } from './engine.ts'
import { loadWeights } from './weights/load-weights.ts'

const file = smallModel()
const config = readConfig(file)
const VOCAB = config.vocabSize

let backend: Backend

beforeEach(() => {
  backend = createReferenceBackend()
})

afterEach(() => backend.dispose())

async function open(options: DecoderOptions = {}): Promise<Decoder> {
  return new Decoder(backend, config, await loadWeights(backend, file, config), options)
}

function batch(
  ids: readonly number[],
  from: number,
  slot = 0,
  logitRows: readonly number[] = ids.map((_, i) => i),
): RowBatch {
  return {
    tokens: ids,
    slots: ids.map(() => slot),
    positions: ids.map((_, i) => from + i),
    logitRows,
  }
}

async function run(decoder: Decoder, cache: OwnSequences, rows: RowBatch): Promise<Float32Array> {
  return (await decoder.forward(cache.place(rows))).slice()
}

const IDS = [3, 28, 0, 17, 17, 5, 9, 22, 1, 14, 2, 11]

describe('logits', () => {
  test('agree with a plain decoder', async () => {
    const decoder = await open({ cacheType: 'f32', matmulPrecision: 'highest' })
    const cache = sequencesOf(decoder, { slots: 1, capacity: IDS.length })
    const logits = await run(decoder, cache, batch(IDS, 0))
    const expected = await plainLogits(file, config, IDS, 'f32')
    for (const [i, value] of expected.entries()) expect(logits[i]).toBeCloseTo(value, 5)
  })

  test('are the same bits whether a prompt is fed at once or in pieces', async () => {
    const decoder = await open()
    const whole = sequencesOf(decoder, { slots: 1, capacity: 16 })
    const pieces = sequencesOf(decoder, { slots: 1, capacity: 16 })
    const expected = await run(decoder, whole, batch(IDS, 0))
    const first = await run(decoder, pieces, batch(IDS.slice(0, 5), 0))
    const second = await run(decoder, pieces, batch(IDS.slice(5), 5))
    expect([...first, ...second]).toEqual([...expected])
  })

  test('are the same bits whether sequences share a pass or run alone', async () => {
    const decoder = await open()
    const shared = sequencesOf(decoder, { slots: 3, capacity: 16 })
    const other = [20, 21, 22, 23]
    const both = await run(decoder, shared, {
      tokens: [...IDS, ...other],
      slots: [...IDS.map(() => 2), ...other.map(() => 0)],
      positions: [...IDS.keys(), ...other.keys()],
      logitRows: [IDS.length - 1, IDS.length + other.length - 1],
    })
    const alone = sequencesOf(decoder, { slots: 1, capacity: 16 })
    const last = await run(decoder, alone, batch(IDS, 0, 0, [IDS.length - 1]))
    expect(both.subarray(0, VOCAB)).toEqual(last)
    const otherLast = await run(decoder, alone, batch(other, 0, 0, [other.length - 1]))
    expect(both.subarray(VOCAB)).toEqual(otherLast)
  })

  test('come for the rows that were asked for, in their order', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 16 })
    const all = await run(decoder, cache, batch(IDS, 0))
    const some = await run(decoder, cache, batch(IDS, 0, 0, [7, 2, 7]))
    const row = (i: number) => [...all.subarray(i * VOCAB, (i + 1) * VOCAB)]
    expect([...some]).toEqual([...row(7), ...row(2), ...row(7)])
  })

  test('are empty where none are asked for, and the pass still fills the cache', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 16 })
    expect(await run(decoder, cache, batch(IDS.slice(0, 11), 0, 0, []))).toHaveLength(0)
    const last = await run(decoder, cache, batch(IDS.slice(11), 11))
    const other = sequencesOf(decoder, { slots: 1, capacity: 16 })
    expect(last).toEqual(await run(decoder, other, batch(IDS, 0, 0, [11])))
  })

  test('after going back to an earlier position are those of the new sequence', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 16 })
    await run(decoder, cache, batch(IDS, 0))
    const cut = await run(decoder, cache, batch([8, 8], 4))
    const fresh = sequencesOf(decoder, { slots: 1, capacity: 16 })
    const whole = await run(decoder, fresh, batch([...IDS.slice(0, 4), 8, 8], 0, 0, [4, 5]))
    expect(cut).toEqual(whole)
  })

  test('of caches of different capacity are the same, in whatever order these were made', async () => {
    const decoder = await open()
    const short = sequencesOf(decoder, { slots: 1, capacity: 16 })
    const before = await run(decoder, short, batch(IDS, 0))
    const long = sequencesOf(decoder, { slots: 1, capacity: 64 })
    expect(await run(decoder, long, batch(IDS, 0))).toEqual(before)
    expect(await run(decoder, short, batch(IDS, 0))).toEqual(before)
  })
})

describe('memory', () => {
  test('of a decode step does not grow from step to step', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 64 })
    await run(decoder, cache, batch([1], 0))
    const before = backend.allocatedBytes
    for (let position = 1; position < 40; position++) {
      await run(decoder, cache, batch([position % VOCAB], position))
    }
    expect(backend.allocatedBytes).toBe(before)
  })

  test('of recordings is bounded, and the one of a decode step is not made again', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 64 })
    const record = vi.spyOn(backend, 'record')
    const disposals: { readonly mock: { readonly calls: unknown[] } }[] = []
    for (let rows = 2; rows <= 40; rows++) {
      for (const wanted of [[], [rows - 1]]) {
        await decoder.forward(cache.place(batch(Array(rows).fill(1), 0, 0, wanted)))
        await decoder.forward(cache.place(batch([1], rows)))
        for (const { value } of record.mock.results.slice(disposals.length)) {
          disposals.push(vi.spyOn(await value, 'dispose'))
        }
      }
    }
    const live = () => disposals.filter(({ mock }) => mock.calls.length === 0).length
    expect(disposals).toHaveLength(2 * 39 + 1)
    expect(live()).toBeLessThan(70)
    decoder.dispose()
    expect(live()).toBe(0)
    expect(disposals.every(({ mock }) => mock.calls.length === 1)).toBe(true)
  })

  test('of caches, activations and weights is given back', async () => {
    const weights = await loadWeights(backend, file, config)
    const held = backend.allocatedBytes
    expect(held).toBe(weights.ternaryBytes + weights.denseBytes)
    const decoder = new Decoder(backend, config, weights)
    const before = backend.allocatedBytes
    expect(before - held).toBe(decoder.activationBytes)
    const sequences = sequencesOf(decoder, { slots: 2, capacity: 30 })
    await run(decoder, sequences, batch(IDS, 0))
    expect(decoder.cache.byteLength % (256 * decoder.cacheBytesPerToken)).toBe(0)
    expect(backend.allocatedBytes - before).toBeGreaterThan(decoder.cache.byteLength)
    sequences.close()
    decoder.dispose()
    decoder.dispose()
    expect(backend.allocatedBytes).toBe(held)
    weights.dispose()
    expect(backend.allocatedBytes).toBe(0)
  })

  test('of a cache is f16 unless told otherwise', async () => {
    const f32 = await open({ cacheType: 'f32' })
    const unset = await open()
    expect(unset.cacheBytesPerToken * 2).toBe(f32.cacheBytesPerToken)
  })
})

describe('a pass is refused', () => {
  test.each<[string, RowBatch, string]>([
    ['no rows', batch([], 0), '1 to 8 rows'],
    ['more rows than maxRows', batch(IDS.slice(0, 9), 0), '1 to 8 rows'],
    ['a token outside the vocabulary', batch([VOCAB], 0), `0 to ${VOCAB - 1}, got ${VOCAB}`],
    ['a negative token', batch([-1], 0), 'got -1'],
    ['a token that is no whole number', batch([1.5], 0), 'got 1.5'],
    ['a slot the cache lacks', batch([1], 0, 2), 'slot of an open sequence, got 2'],
    ['a negative position', batch([1], -1), 'position from 0 on, got -1'],
    ['a first position after a gap', batch([1], 1), 'at most 0 for the next row of slot 0, got 1'],
    ['logits of a row that is not there', batch([1], 0, 0, [1]), 'a row of the batch from 0 to 0'],
    ['more logits than rows', batch([1], 0, 0, [0, 0]), 'at most 1 rows'],
  ])('with %s', async (_, rows, message) => {
    const decoder = await open({ maxRows: 8 })
    const cache = sequencesOf(decoder, { slots: 2, capacity: 16 })
    const refusal = decoder.forward(cache.place(rows))
    await expect(refusal).rejects.toThrow(UsageError)
    await expect(refusal).rejects.toThrow(message)
  })

  test('with rows of a sequence out of order', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 16 })
    const rows = { tokens: [1, 2], slots: [0, 0], positions: [0, 2], logitRows: [] }
    await expect(decoder.forward(cache.place(rows))).rejects.toThrow('Expected position 1')
  })

  test('beyond the cache, with how much was needed and how much there is', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 16 })
    await decoder.forward(cache.place(batch(Array(16).fill(1), 0)))
    const error = await decoder.forward(cache.place(batch([1], 16))).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(ContextOverflowError)
    expect(error).toMatchObject({ needed: 17, available: 16 })
  })

  test('on a disposed engine, or of a sequence that was closed', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 16 })
    cache.close()
    await expect(decoder.forward(cache.place(batch([1], 0)))).rejects.toThrow(UsageError)
    const other = sequencesOf(decoder, { slots: 1, capacity: 16 })
    decoder.dispose()
    await expect(decoder.forward(other.place(batch([1], 0)))).rejects.toThrow('disposed')
  })

  test('while another one runs', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 16 })
    const running = decoder.forward(cache.place(batch([1], 0)))
    await expect(decoder.forward(cache.place(batch([1], 0)))).rejects.toThrow(
      'another one was running',
    )
    await running
  })
})

test.each([
  [0, UsageError],
  [1.5, UsageError],
  [65, ContextOverflowError],
])('a sequence of %s positions is refused', async (positions, error) => {
  const decoder = await open()
  expect(() => decoder.cache.open([], positions)).toThrow(error)
})

describe('scores', () => {
  test('are the log-probabilities of the logits, several tokens of a row too', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 16 })
    const rows = [2, 11]
    const logits = await run(decoder, cache, batch(IDS, 0, 0, rows))
    const targets = { rows: [1, 0, 1], tokens: [4, 17, VOCAB - 1] }
    const { logProbs, isBest } = await decoder.score(cache.place(batch(IDS, 0, 0, rows)), targets)
    for (const [i, token] of targets.tokens.entries()) {
      const row = logits.subarray(targets.rows[i] * VOCAB, (targets.rows[i] + 1) * VOCAB)
      const sum = row.reduce((total, x) => total + Math.exp(x), 0)
      expect(logProbs[i]).toBeCloseTo(row[token] - Math.log(sum), 5)
      expect(isBest[i]).toBe(row.indexOf(Math.max(...row)) === token ? 1 : 0)
    }
  })

  test('of a pass may be more or fewer than those of the pass before', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 16 })
    const rows = batch(IDS, 0, 0, [11])
    const scores = async (...tokens: number[]) => {
      const targets = { rows: tokens.map(() => 0), tokens }
      return [...(await decoder.score(cache.place(rows), targets)).logProbs]
    }
    // Makes room for three, so that what is recorded from here on stays.
    await decoder.score(cache.place(batch([1], 0)), { rows: [0, 0, 0], tokens: [1, 2, 3] })
    const alone = [await scores(4), await scores(17), await scores(5)].flat()
    expect(new Set(alone).size).toBe(3)
    expect(await scores(4, 17, 5)).toEqual(alone)
    expect(await scores(4, 17)).toEqual(alone.slice(0, 2))
  })

  test('are refused for a row or a token that there is not', async () => {
    const decoder = await open()
    const cache = sequencesOf(decoder, { slots: 1, capacity: 16 })
    const score = (row: number, token: number) =>
      decoder.score(cache.place(batch([1, 2], 0, 0, [1])), { rows: [row], tokens: [token] })
    await expect(score(1, 0)).rejects.toThrow('Expected a row of logits from 0 to 0, got 1')
    await expect(score(0, VOCAB)).rejects.toThrow('a token to be scored')
  })
})
