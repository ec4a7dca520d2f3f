/**
 * The jobs of one caller: how urgent they are, how many may run at once, and what the caller has had.
 */
import type { Job } from './job.ts'

/** Of work that nobody reads as it comes, embeddings and evaluations: answers go before it. */
export const BACKGROUND_PRIORITY = -1

export interface CallOptions<J extends Job = Job> {
  /** Ends what is left, between two passes. */
  readonly signal: AbortSignal
  /** Calls of the same client share what is fair for one. */
  readonly client?: string | undefined
  /** Higher goes first; unset: 0. */
  readonly priority?: number | undefined
  /** When the results are of no use any more, as `performance.now()` counts: of equals the sooner goes first. */
  readonly deadline?: number | undefined
  /** Most jobs that run side by side; unset: as many as passes have rows. */
  readonly limit?: number | undefined
  /** Called for each job that has finished, one after another; awaited before others begin. */
  readonly onDone?: ((job: J) => void | Promise<void>) | undefined
  /** Called after each pass in which there were jobs of the call. */
  readonly onPass?: (() => void) | undefined
}

/** What a client has had. */
export interface ClientShare {
  /** Rows that passes computed for it, and those of others before it came: what fairness goes by. */
  served: number
}

export class Call {
  readonly client: string | undefined
  readonly share: ClientShare
  readonly priority: number
  readonly deadline: number
  readonly limit: number
  readonly arrivedAt = performance.now()
  /** Settles when no job of the call is left, in queue or pass. @throws what failed */
  readonly settled: Promise<void>
  /** Jobs that hold memory. */
  running = 0
  /** Set once nothing of it shall begin any more. */
  isEnding = false
  readonly #waiting: Job[]
  readonly onPass: (() => void) | undefined
  readonly #onDone: CallOptions['onDone']
  /** Jobs whose end is being told. */
  #telling = 0
  #told: Promise<void> = Promise.resolve()
  #failure: { readonly error: unknown } | undefined
  #settle: () => void = () => {}

  constructor(jobs: readonly Job[], options: CallOptions, share: ClientShare) {
    this.client = options.client
    this.share = share
    this.priority = options.priority ?? 0
    this.deadline = options.deadline ?? Number.POSITIVE_INFINITY
    this.limit = options.limit ?? Number.POSITIVE_INFINITY
    this.onPass = options.onPass
    this.#onDone = options.onDone
    this.#waiting = [...jobs].reverse()
    this.settled = new Promise((resolve, reject) => {
      this.#settle = () =>
        this.#failure === undefined ? resolve() : reject(this.#failure.error as Error)
    })
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** The job that begins next; undefined while none may. */
  get next(): Job | undefined {
    if (this.isEnding || this.#telling > 0 || this.running >= this.limit) return undefined
    return this.#waiting.findLast(
      ({ isReady, leader }) =>
        isReady && (leader === undefined || leader.computedBeginning !== undefined),
    )
  }

  /** Takes {@link next} off the queue. */
  take(job: Job): void {
    this.#waiting.splice(this.#waiting.lastIndexOf(job), 1)
  }

  /** Puts a job that had begun back before the others. */
  putBack(job: Job): void {
    if (!this.isEnding) this.#waiting.push(job)
  }

  /** Lets nothing begin any more. */
  end(failure?: { readonly error: unknown }): void {
    this.isEnding = true
    this.#failure ??= failure
    this.#waiting.length = 0
  }

  /** Tells of a job that has finished, and calls `after` then. */
  async tell(job: Job, after: () => void): Promise<void> {
    const onDone = this.#onDone
    if (onDone === undefined) return after()
    this.#telling++
    this.#told = this.#told.then(() => onDone(job))
    try {
      await this.#told
    } catch (error) {
      this.end({ error })
    } finally {
      this.#telling--
      after()
    }
  }

  /** Settles if nothing is left. @returns whether that is so */
  settleIfDone(): boolean {
    if (this.running > 0 || this.#telling > 0 || this.#waiting.length > 0) return false
    this.#settle()
    return true
  }
}

/** Which of two calls goes first: by priority, then by deadline, then the one that had less. */
export function compareCalls(a: Call, b: Call): number {
  if (a.priority !== b.priority) return b.priority - a.priority
  if (a.deadline !== b.deadline) return a.deadline - b.deadline
  return a.share.served - b.share.served
}
