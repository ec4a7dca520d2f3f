/**
 * Times the same work again and again for a while.
 */

export interface PassOptions {
  /** Milliseconds to go on for. */
  readonly budgetMs: number
  /** Milliseconds since some moment; tests have a clock of their own. */
  readonly now?: () => number
  readonly signal?: AbortSignal | undefined
}

/** However long a pass takes, there are so many of them. */
const MIN_PASSES = 3

/** Seconds of each pass within the budget, after one that is not counted; at least three. */
export async function timePasses(
  pass: () => Promise<void>,
  { budgetMs, now = () => performance.now(), signal }: PassOptions,
): Promise<number[]> {
  await pass()
  const seconds: number[] = []
  const end = now() + budgetMs
  while (seconds.length < MIN_PASSES || now() < end) {
    signal?.throwIfAborted()
    const start = now()
    await pass()
    seconds.push((now() - start) / 1000)
  }
  return seconds
}
