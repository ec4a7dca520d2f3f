/**
 * Many small steps on one thread, with room between them for timers, signals and other requests.
 */
import type { Steps } from './steps.ts'

/** Nobody notices a program that is busy for so long. */
const TURN_MS = 40

/**
 * What `work` makes of each item, in their order; others may have their turn behind each item, and within its
 * steps.
 *
 * @throws the signal's reason; it is looked at between two turns
 */
export function inTurns<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Steps<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  return takingTurns(eachItem(items, work), signal)
}

function* eachItem<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Steps<R>,
): Steps<R[]> {
  const results: R[] = []
  for (const [i, item] of items.entries()) {
    results.push(yield* work(item, i))
    yield
  }
  return results
}

/**
 * What steps come to, as those of encoding a long text.
 *
 * @throws the signal's reason; it is looked at between two turns
 */
export async function takingTurns<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const turn = oneTurn(steps)
    if (turn !== undefined) return turn.value
    await turnOfTheLoop()
    signal?.throwIfAborted()
  }
}

/** What steps come to within a turn; undefined where they take longer, and can be gone on with. */
export function oneTurn<T>(steps: Steps<T>): { readonly value: T } | undefined {
  const turnEnd = performance.now() + TURN_MS
  do {
    const { done, value } = steps.next()
    if (done === true) return { value }
  } while (performance.now() < turnEnd)
  return undefined
}

/** Lets timers, input and signals have their turn. */
export function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve)
      return
    }
    // A browser's timer waits for 4 ms, and in a page that nobody sees for a second or a minute; messages do not.
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })
}
