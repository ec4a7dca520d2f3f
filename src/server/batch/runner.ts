/**
 * Works on the lines of batches: each is a request to the server itself, behind those of people. What fails for
 * a reason that may pass is tried again, later each time; what fails for good is an error of its line.
 */
import { messageOf } from '../../checks.ts'
import type { LogEntry } from '../options.ts'
import { answeredLine, unansweredLine } from './endings.ts'
import { type BatchStore, BatchStoreError, type TakenLine } from './store.ts'

/** Answers the request of a line. */
export type AnswerLine = (line: TakenLine, signal: AbortSignal) => Promise<Response>

export interface RunnerOptions {
  readonly store: BatchStore
  readonly answer: AnswerLine
  /** Lines at a time. */
  readonly parallel: number
  readonly log: (entry: LogEntry) => void
  readonly timing?: Partial<Timing>
}

/** Seconds; tests have less patience. */
interface Timing {
  readonly lease: number
  readonly poll: number
  readonly backoff: number
  /** What is not given back by then is free when its lease is over. */
  readonly stop: number
}

const TIMING: Timing = { lease: 60, poll: 1, backoff: 2, stop: 3 }
/** Tries of a line before it is given up. */
const MOST_TRIES = 5
/** Times that it is begun at all: a line that ends each of its workers is not to end all of them. */
const MOST_BEGINNINGS = 20

export class BatchRunner {
  readonly #options: RunnerOptions
  readonly #timing: Timing
  readonly #worker = `worker-${crypto.randomUUID()}`
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #wake: () => void = () => undefined
  #loop: Promise<void> | undefined
  #left = 0
  #broken: BatchStoreError | undefined

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#timing = { ...TIMING, ...options.timing }
  }

  /** Lines that have no result yet, those of other workers included, when it was last looked. */
  get left(): number {
    return this.#left
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /** Looks for new lines at once. */
  wake(): void {
    this.#wake()
  }

  /** Takes no more lines, and gives those back that are worked on, unless the store takes too long for that. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('The worker stops.'))
    this.#wake()
    let timer: ReturnType<typeof setTimeout> | undefined
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#timing.stop * 1000)
    })
    await Promise.race([this.#loop, tooLong])
    clearTimeout(timer)
  }

  /**
   * Works for as long as there is something to wait for.
   *
   * @param goesOn unset: while anything is left to do
   * @throws BatchStoreError where results cannot be kept any more
   */
  async drain(
    signal: AbortSignal,
    goesOn = async () => this.#running.size > 0 || (await this.#options.store.finish()) > 0,
  ): Promise<void> {
    this.start()
    while (!signal.aborted && (await goesOn())) {
      await this.#pause()
      if (this.#broken !== undefined) throw this.#broken
    }
  }

  async #run(): Promise<void> {
    const { store } = this.#options
    const renewal = setInterval(
      () => void store.renew(this.#worker, this.#timing.lease).catch(() => undefined),
      (this.#timing.lease * 1000) / 3,
    )
    while (!this.#stopping.signal.aborted) {
      try {
        if (!(await this.#fill())) {
          this.#left = await store.finish()
          await this.#pause()
        }
      } catch (error) {
        this.#note('batch', error)
        await this.#pause()
      }
    }
    await Promise.all(this.#running)
    clearInterval(renewal)
  }

  /** @returns whether lines were taken */
  async #fill(): Promise<boolean> {
    const { store, parallel } = this.#options
    const room = parallel - this.#running.size
    const lines = room > 0 ? await store.take(this.#worker, room, this.#timing.lease) : []
    for (const line of lines) {
      const work = this.#work(line).finally(() => {
        this.#running.delete(work)
        this.#wake()
      })
      this.#running.add(work)
    }
    return lines.length > 0
  }

  async #work(line: TakenLine): Promise<void> {
    const { store, answer } = this.#options
    try {
      if (line.tries > MOST_BEGINNINGS) {
        const message = `Its workers were lost ${MOST_BEGINNINGS} times.`
        await store.settle(line, unansweredLine(line, 'workers_lost', message))
        return
      }
      const response = await answer(line, this.#stopping.signal)
      const body = await response.json()
      const isPassing = response.status >= 500 || response.status === 429 || response.status === 499
      if (isPassing && (this.#stopping.signal.aborted || line.tries < MOST_TRIES)) {
        await store.postpone(line, this.#delay(line))
      } else await store.settle(line, answeredLine(line, response, body))
    } catch (error) {
      // A line that was not written down is free again when its lease is over.
      if (!this.#stopping.signal.aborted) this.#note('batch line', error)
      await store.postpone(line, this.#delay(line)).catch(() => undefined)
    }
  }

  /** A server goes on, as its disk may have room again; whoever waits for the end is told. */
  #note(event: string, error: unknown): void {
    if (error instanceof BatchStoreError) this.#broken ??= error
    this.#options.log({ level: 'error', event, reason: messageOf(error) })
  }

  /** Seconds; none where the worker stops, and others may take it. */
  #delay({ tries }: TakenLine): number {
    return this.#stopping.signal.aborted ? 0 : this.#timing.backoff * 2 ** (tries - 1)
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#timing.poll * 1000)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
