/**
 * Works on the lines of batches: each is a request to the server itself, behind those of people. What fails for
 * a reason that may pass is tried again, later each time; what fails for good is an error of its line.
 */
import { messageOf } from '../../checks.ts'
import type { LogEntry } from '../options.ts'
import { type BatchStore, BatchStoreError, type LineResult, type TakenLine } from './store.ts'

/** Answers the request of a line. */
export type AnswerLine = (line: TakenLine, signal: AbortSignal) => Promise<Response>

export interface RunnerOptions {
  readonly store: BatchStore
  readonly answer: AnswerLine
  /** Lines at a time. */
  readonly parallel: number
  readonly log: (entry: LogEntry) => void
  /** Seconds; tests have less patience. */
  readonly timing?: { readonly lease: number; readonly poll: number; readonly backoff: number }
}

const TIMING = { lease: 60, poll: 1, backoff: 2 }
/** Tries of a line before it is given up. */
const MOST_TRIES = 5

export class BatchRunner {
  readonly #options: RunnerOptions
  readonly #timing: NonNullable<RunnerOptions['timing']>
  readonly #worker = `worker-${crypto.randomUUID()}`
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #wake: () => void = () => undefined
  #loop: Promise<void> | undefined
  #broken: BatchStoreError | undefined

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#timing = options.timing ?? TIMING
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /** Looks for new lines at once. */
  wake(): void {
    this.#wake()
  }

  /** Takes no more lines, and gives those back that are worked on. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('The worker stops.'))
    this.#wake()
    await this.#loop
  }

  /** Works until nothing is left to do. @throws BatchStoreError where results cannot be kept any more */
  async drain(signal: AbortSignal): Promise<void> {
    this.start()
    const { store } = this.#options
    while (!signal.aborted && (this.#running.size > 0 || (await store.finish()) > 0)) {
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
          await store.finish()
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
      const response = await answer(line, this.#stopping.signal)
      const body = await response.json()
      const isPassing = response.status >= 500 || response.status === 429 || response.status === 499
      if (isPassing && (this.#stopping.signal.aborted || line.tries < MOST_TRIES)) {
        await store.postpone(line, this.#delay(line))
      } else await store.settle(line, resultOf(line, response, body))
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

/** As OpenAI writes it. */
function resultOf(
  { batch, number, customId }: TakenLine,
  response: Response,
  body: unknown,
): LineResult {
  const line = {
    id: `batch_req_${batch}_${number}`,
    custom_id: customId,
    response: {
      status_code: response.status,
      request_id: response.headers.get('x-request-id') ?? '',
      body,
    },
    error: null,
  }
  return { isError: !response.ok, text: JSON.stringify(line) }
}
