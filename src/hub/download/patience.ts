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

/**
 * A server that nobody has heard of yet is most often not there at all (no network, a wrong name, a proxy that is missing),
 * which is to be said within seconds: so many failures, and none after so long.
 */
const STRANGER = { failures: 3, ms: 5_000 }

/** The pace for a server that has never answered, `ms` after the first request was sent. */
export function strangersPace(pace: Pace, ms: number): Pace {
  const failures = ms > STRANGER.ms ? 0 : STRANGER.failures
  return { ...pace, failures: Math.min(pace.failures, failures) }
}

/** A server that asks for more than this is not waited for. */
const LONGEST_RETRY_AFTER_MS = 300_000

/**
 * Milliseconds to wait after so many failures in a row; undefined if there is to be no further attempt.
 *
 * @param retryAfterMs the server's wish
 */
export function waitMs(pace: Pace, failures: number, retryAfterMs = 0): number | undefined {
  if (failures >= pace.failures || retryAfterMs > LONGEST_RETRY_AFTER_MS) return undefined
  const wait = Math.min(pace.longestWaitMs, pace.firstWaitMs * 2 ** (failures - 1))
  return Math.max(wait * (0.5 + Math.random() / 2), retryAfterMs)
}

/** @throws the signal's reason, as soon as it is aborted */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
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
export function readRetryAfter(header: string | null): number | undefined {
  if (header === null) return undefined
  if (/^\d{1,9}$/.test(header)) return 1000 * Number(header)
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now())
}

/** Answers that another attempt may turn into a good one. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500
}
