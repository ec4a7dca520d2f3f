/**
 * What the scheduler has done, for whoever asks.
 */
import type { Call } from './call.ts'
import type { Job } from './job.ts'

/** How busy a model is. Times are in milliseconds. */
export interface SchedulerStats {
  /** Sequences that wait for room, that hold some, and of these that wait for a reader or a guess. */
  readonly waiting: number
  readonly running: number
  readonly paused: number
  /** Passes so far, and their rows: tokens of prompts, tokens of answers, guesses. */
  readonly passes: number
  readonly rows: number
  /** Of the last passes, the latest counting most. */
  readonly rowsPerPass: number
  readonly passMs: number
  /** Sequences that began so far, and that lost their memory to more urgent ones. */
  readonly begun: number
  readonly preempted: number
  /** How long those that began had waited: their mean, and the longest. */
  readonly waitMs: number
  readonly longestWaitMs: number
}

/** Weight of a new pass in the means. */
const WEIGHT = 1 / 16

export class ScheduleStatistics {
  passes = 0
  #rows = 0
  #rowsPerPass = 0
  #passMs = 0
  #begun = 0
  #preempted = 0
  #waitMs = 0
  #longestWaitMs = 0
  readonly #seen = new WeakSet<Job>()

  passed(rows: number, ms: number): void {
    const weight = this.passes === 0 ? 1 : WEIGHT
    this.passes++
    this.#rows += rows
    this.#rowsPerPass += (rows - this.#rowsPerPass) * weight
    this.#passMs += (ms - this.#passMs) * weight
  }

  /** A job got memory; the first time counts. */
  began(call: Call, job: Job): void {
    if (this.#seen.has(job)) return
    this.#seen.add(job)
    const ms = performance.now() - call.arrivedAt
    this.#begun++
    this.#waitMs += (ms - this.#waitMs) / this.#begun
    this.#longestWaitMs = Math.max(this.#longestWaitMs, ms)
  }

  preempted(): void {
    this.#preempted++
  }

  report(now: Pick<SchedulerStats, 'waiting' | 'running' | 'paused'>): SchedulerStats {
    return {
      ...now,
      passes: this.passes,
      rows: this.#rows,
      rowsPerPass: this.#rowsPerPass,
      passMs: this.#passMs,
      begun: this.#begun,
      preempted: this.#preempted,
      waitMs: this.#waitMs,
      longestWaitMs: this.#longestWaitMs,
    }
  }
}
