/**
 * How many requests are worked on, wait and are turned away. Turns go by priority, then by deadline, then to the key
 * that has the fewest at work, and among its requests to the oldest, so that a client with a hundred does not keep
 * one with a single one waiting.
 */
import type { ResolvedLimits } from '../options.ts'
import { Refusal } from '../refusal.ts'

type Bounds = Pick<ResolvedLimits, 'active' | 'waiting' | 'keyActive' | 'keyPerMinute'>

const MINUTE_MS = 60_000

/** Who is to have a turn. */
export interface Entrant {
  /** The name of the key. */
  readonly key: string
  /** Higher goes first. */
  readonly priority: number
  /** Seconds from the request on; of equal priority what has to be done sooner goes first. Unset: any number. */
  readonly deadline?: number | undefined
}

interface Waiting extends Pick<Entrant, 'key' | 'priority'> {
  /** By the clock. */
  readonly dueAt: number
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
  async enter(entrant: Entrant, signal: AbortSignal): Promise<() => void> {
    const { key } = entrant
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
      if (this.#active >= this.#bounds.active) await this.#wait(entrant, signal)
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

  #wait({ key, priority, deadline = Number.POSITIVE_INFINITY }: Entrant, signal: AbortSignal) {
    const dueAt = this.#now() + deadline * 1000
    return new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1)
        reject(signal.reason)
      }
      const entry = {
        key,
        priority,
        dueAt,
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
    const next = this.#waiting.reduce((a, b) => (this.#goesBefore(b, a) ? b : a))
    this.#waiting.splice(this.#waiting.indexOf(next), 1)
    next.enter()
  }

  /** Of what is equal the one that waits longer is named first. */
  #goesBefore(a: Waiting, b: Waiting): boolean {
    if (a.priority !== b.priority) return a.priority > b.priority
    if (a.dueAt !== b.dueAt) return a.dueAt < b.dueAt
    return this.#stateOf(a.key).active < this.#stateOf(b.key).active
  }
}

function tooMany(expected: string, retryAfter = 1): Refusal {
  const message = `Expected ${expected}, got more. Ask again in ${retryAfter} s.`
  return new Refusal(429, 'rate_limit_exceeded', message, { retryAfter })
}
