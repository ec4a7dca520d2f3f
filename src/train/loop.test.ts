/** When a run ends by itself: losses that rise for long, and those that are no numbers. */
import { expect, test } from 'vitest'
import type { RunState } from './checkpoint/checkpoint.ts'
import type { Batches } from './data/batches.ts'
import { DivergedError, type LoopParts, runLoop, type TrainEvent } from './loop.ts'
import type { StepLoss } from './step-losses.ts'
import type { Trainer } from './trainer.ts'

/** A run whose steps have these losses; tells which steps were saved and told, and how many at a time were read. */
async function run(
  losses: readonly number[],
  from: Partial<RunState> = {},
  logEvery: number | undefined = undefined,
) {
  const saved: number[] = []
  const told: TrainEvent[] = []
  const reads: number[] = []
  let kept: StepLoss[] = []
  let step = -1
  const cursor = { taken: 0, ofSource: [0] }
  const trainer = {
    plan: { shape: { batch: 1, length: 4 } },
    step: () => step++,
    score: () => {},
    loss: async () => losses[step],
    stepLosses: async () => ({
      keep: () => {
        kept.push({ loss: losses[step], norm: Number.isFinite(losses[step]) ? 1 : Number.NaN })
      },
      read: async () => {
        const found = kept
        kept = []
        if (found.length > 0) reads.push(found.length)
        return found
      },
    }),
  }
  const batches = { cursor, next: async () => [], async *heldOut() {} }
  const parts = {
    backend: { name: 'native' },
    trainer: trainer as unknown as Trainer,
    batches: batches as unknown as Batches,
    save: async (state: RunState) => `step-${saved[saved.push(state.step) - 1]}`,
    onEvent: (event: TrainEvent) => told.push(event),
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
    logEvery,
    bytesPerToken: 1,
  }
  const ended = runLoop(parts as unknown as LoopParts, settings, { ...begin, ...from, steps })
  return {
    ...{ saved, told, reads },
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

test('losses are read as often as was asked for, and before each checkpoint', async () => {
  const losses = Array.from({ length: 14 }, (_, i) => 5 - i / 10)
  const { told, reads, saved, error } = await run(losses, {}, 4)
  expect(error).toBeUndefined()
  expect(reads).toEqual([4, 4, 2, 4])
  expect(saved).toEqual([10, 14])
  const steps = told.filter((event) => event.type === 'step')
  expect(steps.map(({ step }) => step)).toEqual(losses.map((_, i) => i + 1))
  expect(steps.map(({ loss }) => loss)).toEqual(losses)
  const order = told.map(({ type, step }) => `${type} ${step}`)
  expect(order.indexOf('checkpoint 10')).toBe(order.indexOf('step 10') + 1)
})

test('a loss that is no number among those read together ends the run, and nothing of later steps is kept', async () => {
  const { error, saved, told } = await run(
    [...Array(13).fill(5), Number.NaN, ...Array(6).fill(5)],
    {},
    1000,
  )
  expect(error).toBeInstanceOf(DivergedError)
  expect(String(error)).toMatch(/in step 14 it is NaN/)
  expect(saved).toEqual([10])
  expect(told.filter(({ type }) => type === 'step')).toHaveLength(13)
})
