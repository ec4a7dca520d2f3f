/**
 * Measures contenders against each other: latency in rounds, in which each has its turn, so that a slow
 * minute of the machine hits all of them; then the throughput of each with as many sequences as a
 * memory limit holds.
 */
import { type Metered, type MeterOptions, meter, PassRunner } from '../bench/pass-runner.ts'
import { timePasses } from '../bench/pass-timing.ts'
import { type Summary, summarize } from '../bench/statistics.ts'
import { TILE } from '../ternary/index.ts'
import type { Contender, RunningContender } from './contender.ts'

export interface MeasureOptions extends MeterOptions {
  readonly promptTokens: number
  readonly decodeTokens: number
  /** Counted runs of each. */
  readonly runs: number
  /** Bytes that weights and caches may take. */
  readonly memoryLimit: number
  readonly onStep?: ((what: string) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** What runs gave, each a prompt and what is decoded behind it. */
export interface Latency {
  readonly prefillMs: Summary
  /** Of one token, the mean of a run. */
  readonly decodeMs: Summary
  /** Measured joules a token; absent where no counter can be read. */
  readonly prefillJoules?: Summary
  readonly decodeJoules?: Summary
}

export interface Throughput {
  readonly batch: number
  readonly tokensPerSecond: Summary
}

/** Rows of a pass that warms a contender up. */
const WARM_UP_ROWS = 16
/** After so much time a throughput has been measured well enough, however few runs that were. */
const THROUGHPUT_MS = 15_000
/** Halves of about 0.07, int8 of 44: numbers as harmless as those of a real cache, and none of them 0. */
const CACHE_BYTE = 0x2c

/** Bytes that a contender and one sequence of the comparison's length need. */
export function neededBytes(
  { memory }: Contender,
  { promptTokens, decodeTokens }: MeasureOptions,
): number {
  const positions = promptTokens + decodeTokens
  return memory.layerBytes + memory.tableBytes + positions * memory.cacheBytesPerToken
}

/** Sequences of the comparison's length that the limit holds beside the weights; at most `most`. */
export function largestBatch(contender: Contender, options: MeasureOptions, most: number): number {
  const { layerBytes, tableBytes, cacheBytesPerToken } = contender.memory
  const positions = options.promptTokens + options.decodeTokens
  const free = options.memoryLimit - layerBytes - tableBytes
  return Math.min(most, Math.max(0, Math.floor(free / (positions * cacheBytesPerToken))))
}

/** Latency of contenders that are all in memory, in their order. */
export async function measureLatency(
  running: readonly { readonly name: string; readonly contender: RunningContender }[],
  options: MeasureOptions,
): Promise<Latency[]> {
  const { runs, onStep } = options
  const racers = running.map(({ name, contender }) => ({ name, ...racerOf(contender, options) }))
  try {
    for (const { name, warmUp } of racers) {
      onStep?.(`${name}: warming up`)
      await warmUp()
    }
    for (let run = 0; run < runs; run++) {
      for (const { name, race } of racers) {
        onStep?.(`${name}: run ${run + 1} of ${runs}`)
        await race()
      }
    }
    return racers.map(({ latency }) => latency())
  } finally {
    for (const { runner } of racers) runner.dispose()
  }
}

/**
 * Tokens per second of decoding `batch` sequences in every pass, or as many as the cache has room for, each behind
 * a full prompt. Hardly any of the prompts is computed: their keys and values are a constant, which takes as long
 * to attend to.
 */
export async function measureThroughput(
  { decoder }: RunningContender,
  most: number,
  { promptTokens, decodeTokens, runs, signal, now }: MeasureOptions,
): Promise<Throughput> {
  const { cache } = decoder
  const known = promptTokens - (promptTokens % TILE)
  const bytes = new Uint8Array(cache.byteLengthOf(known)).fill(CACHE_BYTE)
  const positions = promptTokens + decodeTokens
  const runner = PassRunner.open(decoder, { sequences: 0, positions }, signal)
  try {
    // One after the other: the block that a beginning is copied from is free again before the next one comes.
    let batch = 0
    for (; batch < most; batch++) {
      // Each begins with a token of its own, so that no two share what is read.
      const begin = [batch % decoder.config.vocabSize, ...new Uint8Array(known)]
      if (known > 0) await cache.copyIn(begin.slice(0, known), bytes)
      const cached = runner.add(positions, begin)
      if (cached === undefined) break
      const noRows = { tokens: [], slots: [], positions: [], logitRows: [] }
      if (cached > 0) await cache.ready(noRows)
      await runner.prefill(batch, cached, promptTokens, false)
    }
    const step = () => runner.decode(batch, promptTokens, promptTokens + 1)
    const passes = { budgetMs: THROUGHPUT_MS, least: 1, most: runs, now, signal }
    const seconds = await timePasses(step, passes)
    return { batch, tokensPerSecond: summarize(seconds.map((s) => batch / s)) }
  } finally {
    runner.dispose()
    cache.forget()
  }
}

/** One contender with a cache for one sequence. */
function racerOf({ decoder }: RunningContender, options: MeasureOptions) {
  const { promptTokens, decodeTokens, signal } = options
  const sizes = { sequences: 1, positions: promptTokens + decodeTokens }
  const runner = PassRunner.open(decoder, sizes, signal)
  const prefills: Metered[] = []
  const decodes: Metered[] = []
  return {
    runner,
    async warmUp(): Promise<void> {
      const rows = Math.min(WARM_UP_ROWS, promptTokens)
      await runner.prefill(0, 0, rows, true)
      await runner.decode(1, rows, rows + 1)
    },
    async race(): Promise<void> {
      const decode = () => runner.decode(1, promptTokens, promptTokens + decodeTokens)
      prefills.push(await meter(() => runner.prefill(0, 0, promptTokens, true), options))
      decodes.push(await meter(decode, options))
    },
    latency(): Latency {
      const prefillJoules = joulesPerToken(prefills, promptTokens)
      const decodeJoules = joulesPerToken(decodes, decodeTokens)
      return {
        // A prompt is one wait, decoding one for each token.
        prefillMs: summarize(prefills.map(({ ms }) => ms)),
        decodeMs: summarize(decodes.map(({ ms }) => ms / decodeTokens)),
        ...(prefillJoules && { prefillJoules }),
        ...(decodeJoules && { decodeJoules }),
      }
    },
  }
}

function joulesPerToken(metered: readonly Metered[], tokens: number): Summary | undefined {
  const joules = metered.flatMap((run) => run.joules ?? [])
  return joules.length === 0 ? undefined : summarize(joules.map((all) => all / tokens))
}
