/**
 * How many tokens of each text an engine draws before anybody looks. What a step takes swings: some were on their
 * way before they were asked for, others are submitted together with those behind them. And those on their way are
 * of no use where another count comes next. So a count holds until half or twice as many would fit.
 */

/** Readers and whoever comes next do not wait much longer, twice as long at most. */
const STEPS_MS = 20

export class StepCount {
  /** Of a step, of late. */
  #ms = STEPS_MS
  #count = 1

  /** @param most of the engine's */
  next(most: number): number {
    const fit = STEPS_MS / this.#ms
    if (fit >= 2 * this.#count || 2 * fit < this.#count) {
      this.#count = 2 ** Math.floor(Math.log2(Math.max(1, fit)))
    }
    return Math.min(most, this.#count)
  }

  /** @param ms that each step of a pass took that had no prompts */
  took(ms: number): void {
    this.#ms = (this.#ms + ms) / 2
  }
}
