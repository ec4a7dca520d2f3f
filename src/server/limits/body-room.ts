/**
 * Memory for the bodies of requests, all together: thousands of connections that each send as much as one may would
 * take more than there is.
 */
import { Refusal } from '../refusal.ts'

export class BodyRoom {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  /** For one request: what takes bytes, and what gives all of them back. */
  open(): { take(bytes: number): void; giveBack(): void } {
    let taken = 0
    return {
      take: (bytes) => {
        if (bytes > this.#left) {
          const message =
            'Expected fewer or smaller requests at a time, got more. Ask again in 1 s.'
          throw new Refusal(503, 'busy', message, { retryAfter: 1 })
        }
        this.#left -= bytes
        taken += bytes
      },
      giveBack: () => {
        this.#left += taken
        taken = 0
      },
    }
  }
}
