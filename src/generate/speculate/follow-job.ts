/**
 * A job that follows a text as it grows or changes its end, and hands out the logits behind it when it is
 * asked for them. In between it waits, and may lose its memory to others.
 */
import { commonLength } from '../chat/chat-prompt.ts'
import type { Job, JobResults } from '../schedule/job.ts'

interface Request {
  /** Unset: the text is to be computed, and nothing wanted of it. */
  readonly read: ((logits: Float32Array) => void) | undefined
  readonly resolve: (isFed: boolean) => void
  readonly reject: (error: unknown) => void
}

export class FollowJob implements Job {
  readonly kind = 'logits'
  readonly finished = false
  readonly positions: number
  tokens: readonly number[] = []
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
   * @param read called with the logits after its last token
   * @returns false if the signal or the end of the job came before
   * @throws what ended the job
   */
  async feed(
    text: readonly number[],
    signal: AbortSignal,
    read?: (logits: Float32Array) => void,
  ): Promise<boolean> {
    if (signal.aborted) return false
    if (this.#ended !== undefined) return this.#answerOfEnded(this.#ended)
    const known = commonLength(this.tokens.slice(0, this.fed), text)
    this.tokens = [...text]
    this.#begin(known, read)
    if (this.fed === text.length) return true
    return new Promise<boolean>((resolve, reject) => {
      const leave = () => this.#settle((request) => request.resolve(false))
      signal.addEventListener('abort', leave, { once: true })
      const done = () => signal.removeEventListener('abort', leave)
      this.#request = {
        read,
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
    this.#begin(cached, this.#request?.read)
    if (this.fed === this.tokens.length) this.#settle(({ resolve }) => resolve(true))
  }

  wants(position: number): boolean {
    return this.#request?.read !== undefined && position === this.tokens.length - 1
  }

  accept({ logits }: JobResults): void {
    if (this.fed < this.tokens.length) return
    this.#settle(({ read, resolve }) => {
      read?.(logits)
      resolve(true)
    })
  }

  /** Called when it runs no more. */
  end(failure?: { readonly error: unknown }): void {
    this.#ended = { failure }
    this.#settle(({ resolve, reject }) =>
      failure === undefined ? resolve(false) : reject(failure.error),
    )
  }

  #begin(known: number, read: Request['read']): void {
    this.fed = read === undefined ? known : Math.min(known, this.tokens.length - 1)
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
