/**
 * Passes of an engine over sequences of its cache, with random tokens: nothing is sampled and no text ends early. Which
 * tokens they are makes no difference to how long a pass takes.
 */
import { UsageError } from '../errors.ts'
import type { DecodeEngine } from '../model/engine.ts'
import { PassRows, passesOf } from '../model/pass-rows.ts'

export interface MeterOptions {
  /** Milliseconds since some moment; tests have a clock of their own. */
  readonly now?: (() => number) | undefined
  /** Joules used since some moment. */
  readonly readJoules?: (() => number | undefined) | undefined
}

/** What some work took. */
export interface Metered {
  readonly ms: number
  /** Undefined where no counter can be read. */
  readonly joules: number | undefined
}

export async function meter(
  work: () => Promise<void>,
  { now = () => performance.now(), readJoules }: MeterOptions,
): Promise<Metered> {
  const before = readJoules?.()
  const start = now()
  await work()
  const ms = now() - start
  const after = readJoules?.()
  const hasJoules = before !== undefined && after !== undefined
  return { ms, joules: hasJoules ? after - before : undefined }
}

export class PassRunner {
  readonly #engine: DecodeEngine
  /** Of its sequences, which are counted from 0 for whoever drives them. */
  readonly #slots: number[] = []
  readonly #signal: AbortSignal | undefined
  #random = 1

  private constructor(engine: DecodeEngine, signal: AbortSignal | undefined) {
    this.#engine = engine
    this.#signal = signal
  }

  /**
   * Opens sequences that may reach so many positions.
   *
   * @throws UsageError if the cache has no room for them; ContextOverflowError for more than it ever has
   */
  static open(
    engine: DecodeEngine,
    { sequences, positions }: { readonly sequences: number; readonly positions: number },
    signal?: AbortSignal,
  ): PassRunner {
    const runner = new PassRunner(engine, signal)
    for (let i = 0; i < sequences; i++) {
      if (runner.add(positions) === undefined) {
        runner.dispose()
        throw new UsageError(
          `Expected room in the cache for ${sequences} sequences of ${positions} positions, got room for ${i}. ` +
            'Ask for fewer or shorter ones, or give the cache more memory (--cache-memory).',
        )
      }
    }
    return runner
  }

  /**
   * Opens one more sequence.
   *
   * @param begin what it begins with, which may be in the cache
   * @returns how many positions of that it need not compute; undefined if the cache has no room for it
   */
  add(positions: number, begin: readonly number[] = []): number | undefined {
    const opened = this.#engine.cache.open(begin, positions)
    if (opened === undefined) return undefined
    this.#slots.push(opened.slot)
    return opened.cached
  }

  /**
   * Computes positions [from, to) of one sequence, in passes as large as the engine takes. As with a real
   * prompt, at most its last token's logits are wanted.
   */
  async prefill(slot: number, from: number, to: number, withLogits: boolean): Promise<void> {
    const tokens = Array.from({ length: to }, (_, at) => (at < from ? 0 : this.#randomToken()))
    for (const rows of passesOf(
      this.#engine.maxRows,
      this.#slots[slot],
      tokens,
      from,
      withLogits,
    )) {
      await this.#forward(rows)
    }
  }

  /** Computes positions [from, to) of the first `batch` sequences, one of each in every pass. */
  async decode(batch: number, from: number, to: number): Promise<void> {
    for (let position = from; position < to; position++) {
      const rows = new PassRows(this.#engine.maxRows)
      for (let slot = 0; slot < batch; slot++) {
        rows.add(this.#slots[slot], position, this.#randomToken())
        rows.want()
      }
      await this.#forward(rows)
    }
  }

  dispose(): void {
    for (const slot of this.#slots) this.#engine.cache.close(slot, [])
  }

  async #forward(rows: PassRows): Promise<void> {
    this.#signal?.throwIfAborted()
    await this.#engine.forward(rows)
  }

  #randomToken(): number {
    // Numerical Recipes' linear congruential step; the high bits are the better ones.
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0
    return Math.floor((this.#random / 2 ** 32) * this.#engine.config.vocabSize)
  }
}
