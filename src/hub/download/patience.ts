/**
 * How long to go on after failures: waits that double, with a random part so that many clients do not
 * come back at the same moment, and the server's own wish where it states one (Retry-After).
 */

export interface Pace {
  /** The first wait is between half of this and this. */
  readonly firstWaitMs: number
  readonly longestWaitMs: number
  /** Failures in a row without a byte of progress, after which the last one is final. */
  readonly failures: number
  /** Without a byte for so long, a connection is given up and the request made again. */
  readonly silenceMs: number
}

export const USUAL_PACE: Pace = {
  firstWaitMs: 500,
  longestWaitMs: 30_000,
  failures: 7,
  silenceMs: 30_000,
}

/** A server that asks for more than this is not waited for. */
const LONGEST_RETRY_AFTER_MS = 300_000

/** Counts failures in a row for one request that is tried again and again. */
export class Patience {
  readonly #pace: Pace
  readonly #signal: AbortSignal | undefined
  #failures = 0

  constructor(pace: Pace, signal: AbortSignal | undefined) {
    this.#pace = pace
    this.#signal = signal
  }

  /** Something arrived: later failures count anew. */
  succeeded(): void {
    this.#failures = 0
  }

  /** Waits before the next attempt; throws `error` if there is to be none. */
  async failed(error: unknown, retryAfterMs?: number): Promise<void> {
    this.#signal?.throwIfAborted()
    this.#failures++
    if (this.#failures >= this.#pace.failures) throw error
    if (retryAfterMs !== undefined && retryAfterMs > LONGEST_RETRY_AFTER_MS) throw error
    const { firstWaitMs, longestWaitMs } = this.#pace
    const wait = Math.min(longestWaitMs, firstWaitMs * 2 ** (this.#failures - 1))
    const jittered = wait * (0.5 + Math.random() / 2)
    await sleep(Math.max(jittered, retryAfterMs ?? 0), this.#signal)
  }
}

/** @throws the signal's reason, as soon as it is aborted */
function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}

/** Milliseconds of a Retry-After header: seconds, or a date. */
export function readRetryAfter(
  header: string | null,
  now: number = Date.now(),
): number | undefined {
  if (header === null) return undefined
  if (/^\d{1,9}$/.test(header)) return 1000 * Number(header)
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

/** Answers that another attempt may turn into a good one. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500
}
