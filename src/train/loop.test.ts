/** When a run ends by itself: losses that rise for long, and those that are no numbers. */
import { expect, test } from 'vitest'
import type { RunState } from './checkpoint/checkpoint.ts'
import type { Batches } from './data/batches.ts'
import { DivergedError, type LoopParts, runLoop } from './loop.ts'
import type { Trainer } from './trainer.ts'

/** A run whose steps have these losses; tells which steps were saved. */
async function run(losses: readonly number[], from: Partial<RunState> = {}) {
  const saved: number[] = []
  let step = -1
  const cursor = { taken: 0, ofSource: [0] }
  const trainer = {
    plan: { shape: { batch: 1, length: 4 } },
    step: () => step++,
    score: () => {},
    loss: async () => losses[step],
    gradientNorm: async () => (Number.isFinite(losses[step]) ? 1 : Number.NaN),
  }
  const batches = { cursor, next: async () => [], async *heldOut() {} }
  const parts = {
    trainer: trainer as unknown as Trainer,
    batches: batches as unknown as Batches,
    save: async (state: RunState) => `step-${saved[saved.push(state.step) - 1]}`,
  }
  const begin = { step: 0, steps: losses.length, cursor, firstLoss: undefined, seconds: 0 }
  const steps = losses.length + (from.step ?? 0)
  const schedule = { steps, warmup: 1, peaks: [1, 1], endShare: 0, decay: 0 } as const
  const settings = {
    schedule,
    accumulate: 1,
    evalEvery: 1000,
    lookEvery: 0,
    sampleEvery: 0,
    saveEvery: 10,
    bytesPerToken: 1,
  }
  const ended = runLoop(parts as unknown as LoopParts, settings, { ...begin, ...from, steps })
  return {
    saved,
    error: await ended.then(
      () => undefined,
      (error: unknown) => error,
    ),
  }
}

test('a run whose loss stays 1 above the first ends, and keeps its last checkpoint', async () => {
  const { error, saved } = await run([5, ...Array(60).fill(7)])
  expect(error).toBeInstanceOf(DivergedError)
  expect(String(error)).toMatch(/from 5\.00 at first.*--lr/)
  expect(saved).toEqual([10])
})

test('a few high losses are none, also right behind a checkpoint', async () => {
  expect((await run([5, 7, 7, 7, ...Array(40).fill(4)])).error).toBeUndefined()
  const behind = await run([7.5, 7, ...Array(40).fill(4)], { step: 16, firstLoss: 5 })
  expect(behind.error).toBeUndefined()
  expect(behind.saved).toEqual([20, 30, 40, 50, 58])
})

test.each([Number.NaN, Infinity])('a loss of %d ends the run at once', async (loss) => {
  const { error, saved } = await run([...Array(14).fill(5), loss, 5])
  expect(error).toBeInstanceOf(DivergedError)
  expect(saved).toEqual([10])
})
