/**
 * Many small steps on one thread, with room between them for timers, signals and other requests.
 */
/** Nobody notices a program that is busy for so long. */
const TURN_MS = 40

/**
 * What `step` makes of each item, in their order.
 *
 * @throws the signal's reason; it is looked at between two turns
 */
export async function inTurns<T, R>(
  items: readonly T[],
  step: (item: T, index: number) => R,
  signal?: AbortSignal,
): Promise<R[]> {
  const results: R[] = []
  let turnEnd = performance.now() + TURN_MS
  for (const [i, item] of items.entries()) {
    results.push(step(item, i))
    if (performance.now() < turnEnd) continue
    await turnOfTheLoop()
    signal?.throwIfAborted()
    turnEnd = performance.now() + TURN_MS
  }
  return results
}

/** Lets timers, input and signals have their turn. */
export function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => {
    // setImmediate costs microseconds where it exists; a browser's timer may wait for 4 ms.
    if (typeof setImmediate === 'function') setImmediate(resolve)
    else setTimeout(resolve)
  })
}
