/**
 * Work in the order in which it came, one piece after the other. A piece that fails ends the queue: what
 * comes after it is not done, and who asks for a result gets the error.
 */

type Work<T> = () => T | Promise<T>

export class WorkQueue {
  /** Settles, always well, when all that was added has its turn behind it. */
  #last: Promise<void> = Promise.resolve()
  #waiting = 0
  #failure: { readonly error: unknown } | undefined

  /** Whether nothing waits or is at work, so that work may be done in place. */
  get isIdle(): boolean {
    return this.#waiting === 0
  }

  /** Adds work that nobody waits for: an error is kept for those who ask. */
  add(work: Work<void>): void {
    void this.#append(async () => {
      if (this.#failure !== undefined) return
      try {
        await work()
      } catch (error) {
        this.#failure = { error }
      }
    })
  }

  /** Adds work and gives its result, or the error of what was before it. Its own ends nothing. */
  ask<T>(work: Work<T>): Promise<T> {
    return this.#append(() => {
      if (this.#failure !== undefined) throw this.#failure.error
      return work()
    })
  }

  /** Adds work that is done whatever failed before, and does not fail itself. */
  finish(work: () => void): Promise<void> {
    return this.#append(work)
  }

  #append<T>(work: Work<T>): Promise<T> {
    this.#waiting++
    const result = this.#last.then(work)
    const settled = () => void this.#waiting--
    this.#last = result.then(settled, settled)
    return result
  }
}
