/**
 * How many requests are worked on, wait and are turned away. Turns go to the key that has the fewest at work,
 * and among its requests to the oldest, so that a client with a hundred does not keep one with a single one
 * waiting.
 */
import type { ResolvedLimits } from '../options.ts'
import { Refusal } from '../refusal.ts'

type Bounds = Pick<ResolvedLimits, 'active' | 'waiting' | 'keyActive' | 'keyPerMinute'>

const MINUTE_MS = 60_000

interface Waiting {
  readonly key: string
  enter(): void
}

/** What one key does. */
interface KeyState {
  /** Requests at work or waiting. */
  present: number
  active: number
  /** What is left of its requests a minute, as of `at`. */
  allowance: number
  at: number
}

export class Admission {
  readonly #bounds: Bounds
  readonly #now: () => number
  readonly #keys = new Map<string, KeyState>()
  readonly #waiting: Waiting[] = []
  #active = 0

  /** @param now milliseconds since some moment; tests have a clock of their own */
  constructor(bounds: Bounds, now = () => performance.now()) {
    this.#bounds = bounds
    this.#now = now
  }

  get active(): number {
    return this.#active
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * Waits for a turn.
   *
   * @returns what gives the turn back, once
   * @throws Refusal (429) if there is no room to wait or the key asks too often; the signal's reason if it
   *   aborts first
   */
  async enter(key: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    const state = this.#stateOf(key)
    this.#checkRate(state)
    if (state.present >= this.#bounds.keyActive) {
      throw tooMany(`at most ${this.#bounds.keyActive} requests of one key at a time`)
    }
    if (this.#active >= this.#bounds.active && this.#waiting.length >= this.#bounds.waiting) {
      throw tooMany(`at most ${this.#bounds.active + this.#bounds.waiting} requests at a time`)
    }
    state.allowance--
    state.present++
    try {
      if (this.#active >= this.#bounds.active) await this.#wait(key, signal)
      else this.#begin(key)
    } catch (error) {
      state.present--
      throw error
    }
    let isGiven = false
    return () => {
      if (isGiven) return
      isGiven = true
      this.#end(key)
    }
  }

  #stateOf(key: string): KeyState {
    this.#forget()
    const fresh = { present: 0, active: 0, allowance: this.#bounds.keyPerMinute, at: this.#now() }
    const state = this.#keys.get(key) ?? fresh
    this.#keys.set(key, state)
    return state
  }

  /** Keys that have nothing here and are owed nothing need not be remembered. */
  #forget(): void {
    if (this.#keys.size < 1024) return
    for (const [key, { present, at }] of this.#keys) {
      if (present === 0 && this.#now() - at > MINUTE_MS) this.#keys.delete(key)
    }
  }

  /** A bucket that fills up within a minute. */
  #checkRate(state: KeyState): void {
    const { keyPerMinute } = this.#bounds
    if (keyPerMinute === Number.POSITIVE_INFINITY) return
    const now = this.#now()
    const grown = state.allowance + ((now - state.at) / MINUTE_MS) * keyPerMinute
    state.allowance = Math.min(keyPerMinute, grown)
    state.at = now
    if (state.allowance >= 1) return
    const seconds = Math.ceil(((1 - state.allowance) / keyPerMinute) * 60)
    throw tooMany(`at most ${keyPerMinute} requests a minute of one key`, seconds)
  }

  #wait(key: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1)
        reject(signal.reason)
      }
      const entry = {
        key,
        enter: () => {
          signal.removeEventListener('abort', leave)
          this.#begin(key)
          resolve()
        },
      }
      this.#waiting.push(entry)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  #begin(key: string): void {
    this.#active++
    this.#stateOf(key).active++
  }

  #end(key: string): void {
    const state = this.#stateOf(key)
    this.#active--
    state.active--
    state.present--
    if (this.#waiting.length === 0) return
    const activeOf = (entry: Waiting) => this.#stateOf(entry.key).active
    const next = this.#waiting.reduce((a, b) => (activeOf(b) < activeOf(a) ? b : a))
    this.#waiting.splice(this.#waiting.indexOf(next), 1)
    next.enter()
  }
}

function tooMany(expected: string, retryAfter = 1): Refusal {
  const message = `Expected ${expected}, got more. Ask again in ${retryAfter} s.`
  return new Refusal(429, 'rate_limit_exceeded', message, { retryAfter })
}
