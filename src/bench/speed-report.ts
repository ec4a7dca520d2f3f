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
  /** Measured, where the processor tells. */
  readonly joulesPerToken?: Summary
}

export function reportSpeedTest(
  { test, seconds, joules, readRates }: MeasuredTest,
  costs: ModelCosts,
  limits: MachineLimits | undefined,
): SpeedTestReport {
  const tokens = test.tokens * test.batch
  const samples = seconds.map((s) => tokens / s)
  const tokensPerSecond = summarize(samples)
  const rate = tokensPerSecond.mean
  const macsPerSecond = rate * costs.ternaryMacs
  return {
    name: speedTestName(test),
    ...test,
    runs: seconds.length,
    tokensPerSecond,
    samples,
    ...(costs.ternaryMacs === 0 ? {} : { macsPerSecond }),
    ...(costs.ternaryMacs === 0 || limits === undefined
      ? {}
      : { shareOfPeak: macsPerSecond / limits.macsPerSecond }),
    ...(test.kind === 'decode'
      ? reads(
          test,
          { rate, samples },
          costs,
          readRates.length > 0 ? readRates : limits?.readBytesPerSecond,
        )
      : {}),
    ...(joules.length === 0 ? {} : { joulesPerToken: summarize(joules.map((j) => j / tokens)) }),
  }
}

/**
 * @param rate tokens per second on average; `samples` those of each run
 * @param memory bytes per second of each run, or of all
 */
function reads(
  test: SpeedTest,
  { rate, samples }: { rate: number; samples: readonly number[] },
  costs: ModelCosts,
  memory: readonly number[] | number | undefined,
): Partial<SpeedTestReport> {
  const bytesPerToken =
    passBytes(costs, { batch: test.batch, positions: meanPositions(test) }) / test.batch
  const bytesPerSecond = bytesPerToken * rate
  if (memory === undefined) return { bytesPerToken, bytesPerSecond }
  const rates = typeof memory === 'number' ? samples.map(() => memory) : memory
  return {
    bytesPerToken,
    bytesPerSecond,
    memoryBytesPerSecond: summarize(rates).mean,
    shareOfMemory: summarize(samples.map((sample, run) => (sample * bytesPerToken) / rates[run]))
      .mean,
  }
}

/** Positions that a token of the test attends to on average, its own included. */
export function meanPositions({ tokens, depth }: SpeedTest): number {
  return depth + (tokens + 1) / 2
}
