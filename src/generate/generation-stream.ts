/**
 * A generation that runs by itself, whether or not anyone reads its text. Pieces wait in a queue
 * until they are read; breaking off the reading cancels the generation, reading slowly slows it down.
 */
import type { GenerateOptions, GenerateResult, Generation, TokenEvent } from './options.ts'
import { validateGenerateOptions } from './validate-options.ts'

/** What a running generation is given. */
export interface GenerationScope {
  /** Aborts on the caller's signal, when the reader breaks off, and on {@link GenerationStream.cancel}. */
  readonly signal: AbortSignal
  cancel(): void
  /** @param token the one that the text came with */
  emit(text: string, token?: Omit<TokenEvent, 'text'>): void
  /** Whether somebody reads and is so far behind that the generation had better wait. */
  isBehind(): boolean
}

/** Pieces that may be unread while somebody reads. */
const MAX_UNREAD = 64

/** Generates, whatever happens around it, until its scope's signal aborts. */
export type GenerationWork = (scope: GenerationScope) => Promise<GenerateResult>

export class GenerationStream implements Generation {
  readonly #result: Promise<GenerateResult>
  readonly #controller = new AbortController()
  readonly #onRead: () => void
  #pieces: TokenEvent[] = []
  #isRead = false
  /** Whether somebody waits for the end, however much is unread then. */
  #isAwaited = false
  /** Index of the next piece to read. */
  #read = 0
  #ended = false
  #failure: { readonly error: unknown } | undefined
  #waiting: (() => void)[] = []

  /**
   * Starts `work` at once. Whatever goes wrong, options out of range included, rejects `result` and
   * is thrown to the reader; a caller who looks at one of the two has no unhandled rejection.
   *
   * @param onRead called when the work may go on that was told that it is ahead of its reader
   */
  constructor(options: GenerateOptions, work: GenerationWork, onRead = () => {}) {
    this.#onRead = onRead
    this.#result = this.#run(options, work)
    this.#result.catch(() => undefined)
  }

  get result(): Promise<GenerateResult> {
    this.#isAwaited = true
    this.#onRead()
    return this.#result
  }

  /** Ends the generation after the pass that runs now; `result` is then what there is. */
  cancel(): void {
    this.#controller.abort()
  }

  [Symbol.asyncIterator](): AsyncIterator<string> {
    const events = this.#reader()
    return {
      next: async () => {
        for (;;) {
          const { done, value } = await events.next()
          if (done) return { done, value: undefined }
          if (value.text !== '') return { done: false, value: value.text }
        }
      },
      return: () => events.return(),
    }
  }

  tokens(): AsyncIterable<TokenEvent> {
    return { [Symbol.asyncIterator]: () => this.#reader() }
  }

  #reader() {
    return {
      next: () => this.#next(),
      return: async (): Promise<IteratorReturnResult<undefined>> => {
        this.cancel()
        this.#ended = true
        this.#failure = undefined
        this.#pieces = []
        this.#read = 0
        this.#wake()
        return { done: true, value: undefined }
      },
    }
  }

  async #run(options: GenerateOptions, work: GenerationWork): Promise<GenerateResult> {
    const cancel = () => this.cancel()
    let signal: AbortSignal | undefined
    try {
      validateGenerateOptions(options)
      signal = options.signal
      signal?.addEventListener('abort', cancel, { once: true })
      if (signal?.aborted) cancel()
      return await work({
        signal: this.#controller.signal,
        cancel,
        emit: (text, token) => this.#emit(text, token),
        isBehind: () => this.#isBehind,
      })
    } catch (error) {
      if (!this.#ended) this.#failure = { error }
      throw error
    } finally {
      signal?.removeEventListener('abort', cancel)
      this.#ended = true
      this.#wake()
    }
  }

  get #isBehind(): boolean {
    const unread = this.#pieces.length - this.#read
    return this.#isRead && !this.#isAwaited && unread > MAX_UNREAD
  }

  #emit(text: string, token?: Omit<TokenEvent, 'text'>): void {
    if (this.#ended || (text === '' && token === undefined)) return
    this.#pieces.push({ ...token, text })
    this.#wake()
  }

  async #next(): Promise<IteratorResult<TokenEvent, undefined>> {
    this.#isRead = true
    for (;;) {
      if (this.#read < this.#pieces.length) {
        const value = this.#pieces[this.#read++]
        if (this.#read === this.#pieces.length) {
          this.#pieces = []
          this.#read = 0
          this.#onRead()
        }
        return { done: false, value }
      }
      if (this.#failure !== undefined) {
        const { error } = this.#failure
        this.#failure = undefined // an iterator throws once and is done then
        throw error
      }
      if (this.#ended) return { done: true, value: undefined }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
