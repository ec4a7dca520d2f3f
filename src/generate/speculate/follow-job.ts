/**
 * A job that follows a text as it grows or changes its end, and draws the token behind it when it is asked
 * to. In between it waits, and may lose its memory to others.
 */

import type { TokenDraw } from '../../model/token-draw.ts'
import { commonLength } from '../chat/chat-prompt.ts'
import type { Job, JobResults } from '../schedule/job.ts'

/** A token to be drawn behind a text. */
export interface WantedToken {
  readonly draw: TokenDraw
  take(id: number): void
}

interface Request {
  /** Unset: the text is to be computed, and nothing drawn behind it. */
  readonly wanted: WantedToken | undefined
  readonly resolve: (isFed: boolean) => void
  readonly reject: (error: unknown) => void
}

export class FollowJob implements Job {
  readonly kind = 'draws'
  readonly finished = false
  readonly positions: number
  tokens: readonly number[] = []
  /** What is no guess. */
  fixed = 0
  fed = 0
  readonly #wake: () => void
  #request: Request | undefined
  #ended: { readonly failure: { readonly error: unknown } | undefined } | undefined

  /** @param wake called when there is something to compute */
  constructor(positions: number, wake: () => void) {
    this.positions = positions
    this.#wake = wake
  }

  get isReady(): boolean {
    return this.#request !== undefined && this.fed < this.tokens.length
  }

  /**
   * Computes what is not computed yet of a text. One at a time.
   *
   * @param fixed how much of it no other text takes the place of
   * @param wanted what is drawn behind its last token
   * @returns false if the signal or the end of the job came before, or there is nothing to draw
   * @throws what ended the job
   */
  async feed(
    text: readonly number[],
    fixed: number,
    signal: AbortSignal,
    wanted?: WantedToken,
  ): Promise<boolean> {
    if (signal.aborted) return false
    if (this.#ended !== undefined) return this.#answerOfEnded(this.#ended)
    const known = commonLength(this.tokens.slice(0, this.fed), text)
    this.tokens = [...text]
    this.fixed = fixed
    this.#begin(known, wanted)
    if (this.fed === text.length) return true
    return new Promise<boolean>((resolve, reject) => {
      const leave = () => this.#settle((request) => request.resolve(false))
      signal.addEventListener('abort', leave, { once: true })
      const done = () => signal.removeEventListener('abort', leave)
      this.#request = {
        wanted,
        resolve: (isFed) => {
          done()
          resolve(isFed)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      }
      this.#wake()
    })
  }

  begin(cached: number): void {
    this.#begin(cached, this.#request?.wanted)
    if (this.fed === this.tokens.length) this.#settle(({ resolve }) => resolve(true))
  }

  wants(position: number): boolean {
    return this.#request?.wanted !== undefined && position === this.tokens.length - 1
  }

  drawAt(): TokenDraw {
    const draw = this.#request?.wanted?.draw
    if (draw === undefined) throw new Error('Nothing is to be drawn.')
    return draw
  }

  accept({ tokens }: JobResults): void {
    if (this.fed < this.tokens.length) return
    this.#settle(({ wanted, resolve }) => {
      const isDrawn = wanted === undefined || tokens.ids[0] >= 0
      if (isDrawn) wanted?.take(tokens.ids[0])
      resolve(isDrawn)
    })
  }

  /** Called when it runs no more. */
  end(failure?: { readonly error: unknown }): void {
    this.#ended = { failure }
    this.#settle(({ resolve, reject }) =>
      failure === undefined ? resolve(false) : reject(failure.error),
    )
  }

  #begin(known: number, wanted: WantedToken | undefined): void {
    this.fed = wanted === undefined ? known : Math.min(known, this.tokens.length - 1)
  }

  #answerOfEnded({ failure }: { failure: { readonly error: unknown } | undefined }): boolean {
    if (failure !== undefined) throw failure.error
    return false
  }

  #settle(how: (request: Request) => void): void {
    const request = this.#request
    this.#request = undefined
    if (request !== undefined) how(request)
  }
}
