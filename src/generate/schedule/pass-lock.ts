/**
 * The right to run a pass. An engine runs one pass at a time and its logits last until the next, so
 * whoever generates takes the lock for each pass and reads the logits before letting go. Turns go in
 * the order of asking: generations that run side by side take one pass each in turn.
 */

/** A pause of the loop at least this often keeps timers, sockets and abort signals alive. */
const BREATH_MS = 16

export class PassLock {
  #held = false
  readonly #waiting: (() => void)[] = []
  #lastBreath = performance.now()

  /**
   * Runs `work` alone.
   *
   * @returns false, without running it, if the signal aborts first
   */
  async run(signal: AbortSignal, work: () => Promise<void>): Promise<boolean> {
    if (signal.aborted || !(await this.#take(signal))) return false
    try {
      await this.#breathe()
      if (signal.aborted) return false
      await work()
      return true
    } finally {
      this.#release()
    }
  }

  #take(signal: AbortSignal): Promise<boolean> {
    if (!this.#held) {
      this.#held = true
      return Promise.resolve(true)
    }
    return new Promise((resolve) => {
      const enter = () => {
        signal.removeEventListener('abort', leave)
        resolve(true)
      }
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1)
        resolve(false)
      }
      this.#waiting.push(enter)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  #release(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#held = false
    else next()
  }

  /**
   * Lets the event loop turn, from time to time. An engine that computes on this thread settles its
   * promises without ever doing so, and then no timer could abort a generation.
   */
  async #breathe(): Promise<void> {
    if (performance.now() - this.#lastBreath < BREATH_MS) return
    await turnOfTheLoop()
    this.#lastBreath = performance.now()
  }
}

/** Lets timers, input and signals have their turn. */
export function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => {
    // setImmediate costs microseconds where it exists; a browser's timer may wait for 4 ms.
    if (typeof setImmediate === 'function') setImmediate(resolve)
    else setTimeout(resolve)
  })
}
