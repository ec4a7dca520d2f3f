/**
 * Speed tests in the manner of llama-bench: pp512 prefills 512 tokens, tg128 decodes 128 tokens one
 * after another, "@ d2048" does so behind 2,048 tokens that are in the cache already, and "b8" decodes
 * eight sequences in every pass. They drive the engine itself with random tokens: nothing is sampled,
 * no text ends early, and every run has exactly the tokens that its name says.
 */
import type { Backend, DeviceWork } from '../backends/backend.ts'
import { UsageError } from '../errors.ts'
import type { ModelConfig } from '../model/config/config.ts'
import type { DecodeEngine } from '../model/engine.ts'
import { type MeterOptions, meter, PassRunner } from './pass-runner.ts'

export interface SpeedTest {
  readonly kind: 'prefill' | 'decode'
  /** Tokens of a run; of each sequence, where there are several. */
  readonly tokens: number
  /** Tokens in each sequence's cache before a run begins. */
  readonly depth: number
  /** Sequences in every pass of a decode test; 1 for a prefill. */
  readonly batch: number
}

/** The lists of the command line; every combination is a test. */
export interface SpeedTestLists {
  readonly prefill: readonly number[]
  readonly decode: readonly number[]
  readonly depth: readonly number[]
  readonly batch: readonly number[]
}

/** Counted runs of a test. */
export interface MeasuredTest {
  readonly test: SpeedTest
  /** Seconds of each run. */
  readonly seconds: readonly number[]
  /** Joules of each run; empty where they cannot be read. */
  readonly joules: readonly number[]
  /** Bytes per second that memory gave beside each run; empty where that is not measured. */
  readonly readRates: readonly number[]
  /** Of one run more, or its first passes, on a device that says what it did. */
  readonly work?: DeviceWork & { readonly tokens: number }
}

export interface RunOptions extends MeterOptions {
  /** Counted runs of each test. */
  readonly runs: number
  /** How fast memory is now, in bytes per second; asked before and after every run of decoding. */
  readonly readRate?: (() => Promise<number>) | undefined
  /** What a device does meanwhile; unset: nobody tells. */
  readonly watch?: Backend['watch']
  readonly signal?: AbortSignal
  /** Told what is being done, before each part. */
  readonly onStep?: (what: string) => void
}

/** Enough passes to record the program, fill the caches and raise the clock. */
const WARM_UP_STEPS = 8

/** "pp512", "tg128 b8 @ d2048" */
export function speedTestName({ kind, tokens, depth, batch }: SpeedTest): string {
  const name = kind === 'prefill' ? `pp${tokens}` : `tg${tokens}`
  return name + (batch > 1 ? ` b${batch}` : '') + (depth > 0 ? ` @ d${depth}` : '')
}

/** All combinations, ordered so that tests of one depth follow each other. */
export function planSpeedTests(lists: SpeedTestLists): SpeedTest[] {
  const tests = new Map<string, SpeedTest>()
  for (const depth of lists.depth) {
    const prefills = lists.prefill.map((tokens) => ({ kind: 'prefill', tokens, batch: 1 }) as const)
    const decodes = lists.batch.flatMap((batch) =>
      lists.decode.map((tokens) => ({ kind: 'decode', tokens, batch }) as const),
    )
    for (const part of [...prefills, ...decodes]) {
      const test = { ...part, depth }
      tests.set(speedTestName(test), test)
    }
  }
  return [...tests.values()]
}

/** @throws UsageError before anything runs, if a test does not fit the context or a pass */
export function checkSpeedTests(
  tests: readonly SpeedTest[],
  engine: { readonly config: ModelConfig; readonly maxRows: number },
): void {
  const { contextLength, name } = engine.config
  for (const test of tests) {
    const positions = test.depth + test.tokens
    if (positions > contextLength) {
      throw new UsageError(
        `Expected tests of at most ${contextLength} positions, the context of ${name}, got ` +
          `${positions} in ${speedTestName(test)}. Ask for fewer tokens or less depth.`,
      )
    }
    if (test.batch > engine.maxRows) {
      throw new UsageError(
        `Expected a batch of at most ${engine.maxRows} sequences, got ${test.batch}.`,
      )
    }
  }
}

/**
 * Runs the tests in their order, each after a warm-up that is not counted.
 *
 * @throws UsageError if a test does not fit, or the signal's reason
 */
export async function runSpeedTests(
  engine: DecodeEngine,
  tests: readonly SpeedTest[],
  options: RunOptions,
): Promise<MeasuredTest[]> {
  checkSpeedTests(tests, engine)
  const results: MeasuredTest[] = []
  for (const group of groupByCache(tests)) {
    const [{ depth, batch }] = group
    const positions = depth + Math.max(...group.map(({ tokens }) => tokens))
    const runner = PassRunner.open(engine, { sequences: batch, positions }, options.signal)
    try {
      if (depth > 0) options.onStep?.(`Filling ${batch} x ${depth} positions`)
      for (let slot = 0; slot < batch; slot++) await runner.prefill(slot, 0, depth, false)
      for (const test of group) results.push(await measure(runner, test, options))
    } finally {
      runner.dispose()
    }
  }
  return results
}

/** Tests that follow each other and need the same filled cache. */
function groupByCache(tests: readonly SpeedTest[]): [SpeedTest, ...SpeedTest[]][] {
  const groups: [SpeedTest, ...SpeedTest[]][] = []
  for (const test of tests) {
    const last = groups.at(-1)
    if (last !== undefined && last[0].depth === test.depth && last[0].batch === test.batch) {
      last.push(test)
    } else {
      groups.push([test])
    }
  }
  return groups
}

async function measure(
  runner: PassRunner,
  test: SpeedTest,
  options: RunOptions,
): Promise<MeasuredTest> {
  const { runs, onStep, readRate } = options
  const name = speedTestName(test)
  onStep?.(`${name}: warming up`)
  await runTest(runner, test, test.kind === 'prefill' ? test.tokens : WARM_UP_STEPS)
  const seconds: number[] = []
  const joules: number[] = []
  const rates: number[] = []
  const noteRate = async (): Promise<void> => {
    if (readRate !== undefined && test.kind === 'decode') rates.push(await readRate())
  }
  await noteRate()
  for (let run = 0; run < runs; run++) {
    onStep?.(`${name}: run ${run + 1} of ${runs}`)
    const took = await meter(() => runTest(runner, test, test.tokens), options)
    seconds.push(took.ms / 1000)
    if (took.joules !== undefined) joules.push(took.joules)
    await noteRate()
  }
  const readRates = rates.slice(1).map((after, run) => (rates[run] + after) / 2)
  const passes = test.kind === 'prefill' ? test.tokens : Math.min(WARM_UP_STEPS, test.tokens)
  const work = await options.watch?.(() => runTest(runner, test, passes))
  const tokens = passes * test.batch
  return { test, seconds, joules, readRates, ...(work && { work: { ...work, tokens } }) }
}

/** One run, or its first `tokens` tokens. What earlier runs left at these positions is replaced. */
function runTest(
  runner: PassRunner,
  { kind, depth, batch, tokens: all }: SpeedTest,
  tokens: number,
): Promise<void> {
  const end = depth + Math.min(tokens, all)
  return kind === 'prefill' ? runner.prefill(0, depth, end, true) : runner.decode(batch, depth, end)
}
