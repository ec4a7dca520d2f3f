/**
 * Measures contenders against each other: latency in rounds, in which each has its turn, so that a slow
 * minute of the machine hits all of them; then the throughput of each with as many sequences as a
 * memory limit holds.
 */
import { fillBuffer } from '../bench/fill-buffer.ts'
import { type Summary, summarize } from '../bench/statistics.ts'
import { DecoderCache } from '../model/cache/kv-cache.ts'
import type { KvCache } from '../model/engine.ts'
import type { Contender, RunningContender } from './contender.ts'

export interface MeasureOptions {
  readonly promptTokens: number
  readonly decodeTokens: number
  /** Counted runs of each. */
  readonly runs: number
  /** Bytes that weights and caches may take. */
  readonly memoryLimit: number
  readonly readJoules?: (() => number | undefined) | undefined
  readonly onStep?: ((what: string) => void) | undefined
  readonly signal?: AbortSignal | undefined
  /** Milliseconds since some moment; tests have a clock of their own. */
  readonly now?: (() => number) | undefined
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
  const racers = running.map(({ name, contender }) => ({
    name,
    racer: new Racer(contender, options),
  }))
  try {
    for (const { name, racer } of racers) {
      onStep?.(`${name}: warming up`)
      await racer.warmUp()
    }
    for (let run = 0; run < runs; run++) {
      for (const { name, racer } of racers) {
        onStep?.(`${name}: run ${run + 1} of ${runs}`)
        await racer.run()
      }
    }
    return racers.map(({ racer }) => racer.latency())
  } finally {
    for (const { racer } of racers) racer.dispose()
  }
}

/**
 * Tokens per second of decoding `batch` sequences in every pass, each behind a full prompt. The prompts
 * are not computed: their keys and values are a constant, which takes as long to attend to.
 */
export async function measureThroughput(
  { decoder, backend }: RunningContender,
  batch: number,
  { promptTokens, decodeTokens, runs, signal, now = () => performance.now() }: MeasureOptions,
): Promise<Throughput> {
  const cache = decoder.createCache({ slots: batch, capacity: promptTokens + decodeTokens })
  try {
    const slots = Array.from({ length: batch }, (_, slot) => slot)
    fillCache(cache, promptTokens, slots, (buffer) => fillBuffer(backend, buffer, CACHE_BYTE))
    const step = () =>
      decoder.forward(cache, {
        tokens: slots,
        slots,
        positions: slots.map(() => promptTokens),
        logitRows: slots,
      })
    await step()
    const samples: number[] = []
    const end = now() + THROUGHPUT_MS
    while (samples.length === 0 || (samples.length < runs && now() < end)) {
      signal?.throwIfAborted()
      const start = now()
      await step()
      samples.push((batch * 1000) / (now() - start))
    }
    return { batch, tokensPerSecond: summarize(samples) }
  } finally {
    cache.dispose()
  }
}

/** Takes the first positions of every slot for computed. */
function fillCache(
  cache: KvCache,
  positions: number,
  slots: readonly number[],
  fill: (buffer: DecoderCache['layers'][number]['keys']) => void,
): void {
  // Every decoder of ours makes these.
  if (!(cache instanceof DecoderCache)) throw new Error('Expected a decoder of this package.')
  for (const { keys, values } of cache.layers) {
    fill(keys)
    fill(values)
  }
  const last = slots.map(() => positions - 1)
  cache.advance({ tokens: last, slots, positions: last, logitRows: [] })
}

/** One contender with a cache for one sequence. */
class Racer {
  readonly #contender: RunningContender
  readonly #options: MeasureOptions
  readonly #cache: KvCache
  readonly #prefillMs: number[] = []
  readonly #decodeMs: number[] = []
  readonly #prefillJoules: number[] = []
  readonly #decodeJoules: number[] = []

  constructor(contender: RunningContender, options: MeasureOptions) {
    this.#contender = contender
    this.#options = options
    const capacity = options.promptTokens + options.decodeTokens
    this.#cache = contender.decoder.createCache({ slots: 1, capacity })
  }

  async warmUp(): Promise<void> {
    const rows = Math.min(WARM_UP_ROWS, this.#options.promptTokens)
    await this.#pass(0, rows, true)
    await this.#pass(rows, 1, true)
  }

  async run(): Promise<void> {
    const { promptTokens, decodeTokens } = this.#options
    await this.#timed(this.#prefillMs, this.#prefillJoules, promptTokens, async () => {
      const { maxRows } = this.#contender.decoder
      for (let position = 0; position < promptTokens; position += maxRows) {
        const rows = Math.min(maxRows, promptTokens - position)
        await this.#pass(position, rows, position + rows === promptTokens)
      }
    })
    await this.#timed(this.#decodeMs, this.#decodeJoules, decodeTokens, async () => {
      for (let i = 0; i < decodeTokens; i++) await this.#pass(promptTokens + i, 1, true)
    })
    // A prompt is one wait, decoding one for each token.
    this.#decodeMs.push((this.#decodeMs.pop() ?? 0) / decodeTokens)
  }

  latency(): Latency {
    const hasJoules = this.#prefillJoules.length > 0
    return {
      prefillMs: summarize(this.#prefillMs),
      decodeMs: summarize(this.#decodeMs),
      ...(hasJoules ? { prefillJoules: summarize(this.#prefillJoules) } : {}),
      ...(hasJoules ? { decodeJoules: summarize(this.#decodeJoules) } : {}),
    }
  }

  dispose(): void {
    this.#cache.dispose()
  }

  async #timed(
    ms: number[],
    joules: number[],
    tokens: number,
    work: () => Promise<void>,
  ): Promise<void> {
    const { readJoules, now = () => performance.now() } = this.#options
    const before = readJoules?.()
    const start = now()
    await work()
    ms.push(now() - start)
    const after = readJoules?.()
    if (before !== undefined && after !== undefined) joules.push((after - before) / tokens)
  }

  /** `rows` tokens from `position` on: which ones they are makes no difference. */
  async #pass(position: number, rows: number, withLogits: boolean): Promise<void> {
    this.#options.signal?.throwIfAborted()
    const { vocabSize } = this.#contender.decoder.config
    await this.#contender.decoder.forward(this.#cache, {
      tokens: Array.from({ length: rows }, (_, i) => ((position + i) * 7919) % vocabSize),
      slots: Array.from({ length: rows }, () => 0),
      positions: Array.from({ length: rows }, (_, i) => position + i),
      logitRows: withLogits ? [rows - 1] : [],
    })
  }
}
