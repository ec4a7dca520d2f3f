/**
 * Speed tests on an engine that computes nothing and a clock that only passes move.
 */
import { describe, expect, test } from 'vitest'
import { MockSequenceCache } from '../../test/support/mock-cache.ts'
import { MOCK_CONFIG } from '../../test/support/mock-engine.ts'
import { UsageError } from '../errors.ts'
import type { ModelConfig } from '../model/config/config.ts'
import type { DecodeEngine, RowBatch } from '../model/engine.ts'
import {
  type MeasuredTest,
  planSpeedTests,
  type RunOptions,
  runSpeedTests,
  type SpeedTest,
  speedTestName,
} from './speed-tests.ts'

const CONFIG: ModelConfig = { ...MOCK_CONFIG, name: 'mock-model' }

const PREFILL: SpeedTest = { kind: 'prefill', tokens: 20, depth: 0, batch: 1 }
const DECODE: SpeedTest = { kind: 'decode', tokens: 4, depth: 0, batch: 1 }

/** A pass takes one second and three joules for each of its rows. */
class FakeMachine {
  readonly passes: RowBatch[] = []
  seconds = 0

  readonly engine: DecodeEngine = {
    config: CONFIG,
    maxRows: 8,
    cache: new MockSequenceCache({
      contextLength: CONFIG.contextLength,
      maxRows: 8,
      maxSequences: 8,
      groups: [{ blocks: 8 }],
    }),
    forward: async (batch) => {
      this.passes.push(batch)
      this.seconds += batch.tokens.length
      return new Float32Array(0)
    },
    vectors: () => Promise.reject(new Error('Speed tests want no vectors.')),
    score: () => Promise.reject(new Error('Speed tests score nothing.')),
    step: () => Promise.reject(new Error('Speed tests want nothing else.')),
  }

  run(tests: readonly SpeedTest[], options: Partial<RunOptions> = {}): Promise<MeasuredTest[]> {
    const now = () => this.seconds * 1000
    return runSpeedTests(this.engine, tests, { runs: 1, now, ...options })
  }
}

/** Rows of all passes in order. */
function places({ passes }: FakeMachine): (readonly [slot: number, position: number])[] {
  return passes.flatMap(({ slots, positions }) =>
    Array.from(slots, (slot, i) => [slot, positions[i]] as const),
  )
}

test('what the cache has no room for is refused, with what would help', async () => {
  const large = new FakeMachine()
  for (let i = 0; i < 6; i++) large.engine.cache.open([], 4)
  await expect(large.run([{ ...DECODE, batch: 3 }])).rejects.toThrow('--cache-memory')
  expect(large.engine.cache.stats.sequences).toBe(6)
})

describe('a plan', () => {
  test('has every combination once, with the names of llama-bench', () => {
    const lists = { prefill: [512, 512], decode: [128], depth: [0, 2048], batch: [1, 8] }
    expect(planSpeedTests(lists).map(speedTestName)).toEqual([
      'pp512',
      'tg128',
      'tg128 b8',
      'pp512 @ d2048',
      'tg128 @ d2048',
      'tg128 b8 @ d2048',
    ])
  })
})

describe('a run', () => {
  test('of a prefill goes in passes as large as the engine takes, with logits of the last token', async () => {
    const machine = new FakeMachine()
    await machine.run([PREFILL])
    // The warm-up and the run are alike.
    expect(machine.passes.map(({ tokens }) => tokens.length)).toEqual([8, 8, 4, 8, 8, 4])
    expect(machine.passes.map(({ logitRows }) => [...Array.from(logitRows)])).toEqual([
      [],
      [],
      [3],
      [],
      [],
      [3],
    ])
    expect(places(machine).slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, i) => [0, i]))
  })

  test('of a decode takes one token of every sequence in each pass, with all logits', async () => {
    const machine = new FakeMachine()
    await machine.run([{ ...DECODE, batch: 3 }])
    const run = machine.passes.slice(-4)
    expect(run.map(({ positions }) => Array.from(positions))).toEqual([
      [0, 0, 0],
      [1, 1, 1],
      [2, 2, 2],
      [3, 3, 3],
    ])
    for (const { slots, logitRows } of run) {
      expect(slots).toEqual([0, 1, 2])
      expect(logitRows).toEqual([0, 1, 2])
    }
  })

  test('uses tokens of the vocabulary, not always the same', async () => {
    const machine = new FakeMachine()
    await machine.run([PREFILL])
    const tokens = new Set(machine.passes.flatMap((pass) => Array.from(pass.tokens)))
    expect(tokens.size).toBeGreaterThan(3)
    for (const token of tokens) expect([...Array(10).keys()]).toContain(token)
  })

  test('behind a depth starts there, and fills it once for all tests of that depth', async () => {
    const machine = new FakeMachine()
    const depth = 16
    const [prefill, decode] = await machine.run([
      { ...PREFILL, depth },
      { ...DECODE, depth },
    ])
    expect(machine.engine.cache.stats).toMatchObject({ opened: 1, sequences: 0 })
    expect(places(machine).filter(([, position]) => position === 3)).toHaveLength(1)
    expect(machine.passes.at(-1)?.positions).toEqual([19])
    // Neither the filling nor the warm-up is in the time.
    expect(prefill.seconds).toEqual([20])
    expect(decode.seconds).toEqual([4])
  })

  test('of several sequences fills each of them', async () => {
    const machine = new FakeMachine()
    await machine.run([{ ...DECODE, depth: 2, batch: 2 }])
    expect(places(machine).slice(0, 4)).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ])
  })

  test('is repeated, and its energy read, as often as asked', async () => {
    const machine = new FakeMachine()
    const [result] = await machine.run([DECODE], {
      runs: 3,
      readJoules: () => machine.seconds * 3,
    })
    expect(result.seconds).toEqual([4, 4, 4])
    expect(result.joules).toEqual([12, 12, 12])
    const [withoutMeter] = await machine.run([DECODE])
    expect(withoutMeter.joules).toEqual([])
  })

  test('of a decode asks how fast memory is before the first run and after each', async () => {
    const machine = new FakeMachine()
    let rate = 0
    const readRate = async () => (rate += 10)
    const [prefill, decode] = await machine.run([PREFILL, DECODE], { runs: 3, readRate })
    expect(prefill.readRates).toEqual([])
    expect(decode.readRates).toEqual([15, 25, 35])
  })

  test('says what it is doing', async () => {
    const steps: string[] = []
    const onStep = (step: string) => steps.push(step)
    await new FakeMachine().run([{ ...DECODE, depth: 3 }], { onStep, runs: 2 })
    expect(steps).toEqual([
      'Filling 1 x 3 positions',
      'tg4 @ d3: warming up',
      'tg4 @ d3: run 1 of 2',
      'tg4 @ d3: run 2 of 2',
    ])
  })

  test('ends between two passes when the signal aborts, and frees its cache', async () => {
    const machine = new FakeMachine()
    const controller = new AbortController()
    const onStep = (step: string) => {
      if (step.includes('run 1')) controller.abort()
    }
    await expect(machine.run([DECODE], { onStep, signal: controller.signal })).rejects.toThrow()
    expect(machine.passes).toHaveLength(4)
    expect(machine.engine.cache.stats).toMatchObject({ opened: 1, sequences: 0 })
  })
})

test.each([
  [
    { ...DECODE, depth: 61 },
    /at most 64 positions, the context of mock-model, got 65 in tg4 @ d61/,
  ],
  [{ ...DECODE, batch: 9 }, /at most 8 sequences, got 9/],
])('%j is refused before anything runs', async (tooMuch, message) => {
  const machine = new FakeMachine()
  const running = machine.run([PREFILL, tooMuch])
  await expect(running).rejects.toThrow(message)
  await expect(running).rejects.toBeInstanceOf(UsageError)
  expect(machine.passes).toEqual([])
})
