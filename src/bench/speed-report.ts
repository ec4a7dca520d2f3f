/**
 * From the seconds of speed tests to what they mean: tokens, bytes and multiply-accumulates per second,
 * as shares of what the machine can do, and joules per token.
 */
import { type ModelCosts, passBytes } from './costs.ts'
import type { MachineLimits } from './machine-limits.ts'
import { type MeasuredTest, type SpeedTest, speedTestName } from './speed-tests.ts'
import { type Summary, summarize } from './statistics.ts'

export interface SpeedTestReport extends SpeedTest {
  /** "pp512", "tg128 b8 @ d2048" */
  readonly name: string
  readonly runs: number
  /** Of all sequences together, over the whole of a run. */
  readonly tokensPerSecond: Summary
  /** Of each run. */
  readonly samples: readonly number[]
  /** Ternary multiply-accumulates per second, and of the measured peak; absent for dense models. */
  readonly macsPerSecond?: number
  readonly shareOfPeak?: number
  /** Decode only: bytes that must be read for a token, in the middle of a run. */
  readonly bytesPerToken?: number
  readonly bytesPerSecond?: number
  /** Bytes per second that memory gave beside the runs, or on its own where that was not measured. */
  readonly memoryBytesPerSecond?: number
  /** `bytesPerSecond` of it: the mean of the runs' own shares. */
  readonly shareOfMemory?: number
  /** On a device of its own: dispatches of a pass of decoding, or of the whole prompt. */
  readonly dispatches?: number
  /** Seconds of the device for a token, by its own clock. */
  readonly deviceSecondsPerToken?: number
  /** Measured, where the processor tells. */
  readonly joulesPerToken?: Summary
}

export function reportSpeedTest(
  { test, seconds, joules, readRates, work }: MeasuredTest,
  costs: ModelCosts,
  limits: MachineLimits | undefined,
): SpeedTestReport {
  const tokens = test.tokens * test.batch
  const samples = seconds.map((s) => tokens / s)
  const tokensPerSecond = summarize(samples)
  const macsPerSecond = tokensPerSecond.mean * costs.ternaryMacs
  const hasMacs = costs.ternaryMacs > 0
  const everyRun = samples.flatMap(() => limits?.readBytesPerSecond ?? [])
  const memory = readRates.length > 0 ? readRates : everyRun
  return {
    name: speedTestName(test),
    ...test,
    runs: seconds.length,
    tokensPerSecond,
    samples,
    ...(hasMacs && { macsPerSecond }),
    ...(hasMacs && limits && { shareOfPeak: macsPerSecond / limits.macsPerSecond }),
    ...(test.kind === 'decode' && reads(test, samples, costs, memory)),
    ...(work && onDevice(test, work)),
    ...(joules.length > 0 && { joulesPerToken: summarize(joules.map((j) => j / tokens)) }),
  }
}

/**
 * @param samples tokens per second of each run
 * @param memory bytes per second of each run; empty where they are not known
 */
function reads(
  test: SpeedTest,
  samples: readonly number[],
  costs: ModelCosts,
  memory: readonly number[],
): Partial<SpeedTestReport> {
  const { batch } = test
  const bytesPerToken = passBytes(costs, { batch, positions: meanPositions(test) }) / batch
  const bytesPerSecond = bytesPerToken * summarize(samples).mean
  if (memory.length === 0) return { bytesPerToken, bytesPerSecond }
  const shares = samples.map((sample, run) => (sample * bytesPerToken) / memory[run])
  return {
    bytesPerToken,
    bytesPerSecond,
    memoryBytesPerSecond: summarize(memory).mean,
    shareOfMemory: summarize(shares).mean,
  }
}

function onDevice(
  { kind, batch }: SpeedTest,
  { dispatches, seconds, tokens }: NonNullable<MeasuredTest['work']>,
): Partial<SpeedTestReport> {
  return {
    dispatches: kind === 'prefill' ? dispatches : dispatches / (tokens / batch),
    ...(seconds !== undefined && { deviceSecondsPerToken: seconds / tokens }),
  }
}

/** Positions that a token of the test attends to on average, its own included. */
export function meanPositions({ tokens, depth }: SpeedTest): number {
  return depth + (tokens + 1) / 2
}
