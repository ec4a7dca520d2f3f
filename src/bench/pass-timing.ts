/**
 * Times the same work again and again for a while.
 */
import type { Backend, Program } from '../backends/backend.ts'

export interface PassOptions {
  /** Milliseconds to go on for. */
  readonly budgetMs: number
  /** Milliseconds since some moment; tests have a clock of their own. */
  readonly now?: (() => number) | undefined
  /** However long a pass takes, there are so many of them; unset: 3. */
  readonly least?: number
  /** However short it is; unset: any number. */
  readonly most?: number
  readonly signal?: AbortSignal | undefined
}

const LEAST_PASSES = 3

/** {@link timePasses} of a program. */
export function timeProgram(
  backend: Backend,
  program: Program,
  options: PassOptions,
): Promise<number[]> {
  const pass = () => {
    backend.submit(program)
    return backend.done()
  }
  return timePasses(pass, options)
}

/** Seconds of each pass within the budget, after one that is not counted. */
export async function timePasses(
  pass: () => Promise<void>,
  options: PassOptions,
): Promise<number[]> {
  const { budgetMs, now = () => performance.now(), signal } = options
  const { least = LEAST_PASSES, most = Infinity } = options
  await pass()
  const seconds: number[] = []
  const end = now() + budgetMs
  while (seconds.length < least || (seconds.length < most && now() < end)) {
    signal?.throwIfAborted()
    const start = now()
    await pass()
    seconds.push((now() - start) / 1000)
  }
  return seconds
}
