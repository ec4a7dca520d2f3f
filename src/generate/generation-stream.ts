/**
 * A generation that runs by itself, whether or not anyone reads its text. Pieces wait in a queue
 * until they are read; breaking off the reading cancels the generation.
 */
import type { GenerateOptions, GenerateResult, Generation } from './options.ts'
import { validateGenerateOptions } from './validate-options.ts'

/** What a running generation is given. */
export interface GenerationScope {
  /** Aborts on the caller's signal, when the reader breaks off, and on {@link GenerationStream.cancel}. */
  readonly signal: AbortSignal
  cancel(): void
  emit(text: string): void
}

/** Generates, whatever happens around it, until its scope's signal aborts. */
export type GenerationWork = (scope: GenerationScope) => Promise<GenerateResult>

export class GenerationStream implements Generation {
  readonly result: Promise<GenerateResult>
  readonly #controller = new AbortController()
  #pieces: string[] = []
  /** Index of the next piece to read. */
  #read = 0
  #ended = false
  #failure: { readonly error: unknown } | undefined
  #waiting: (() => void)[] = []

  /**
   * Starts `work` at once. Whatever goes wrong, options out of range included, rejects `result` and
   * is thrown to the reader; a caller who looks at one of the two has no unhandled rejection.
   */
  constructor(options: GenerateOptions, work: GenerationWork) {
    this.result = this.#run(options, work)
    this.result.catch(() => undefined)
  }

  /** Ends the generation after the pass that runs now; `result` is then what there is. */
  cancel(): void {
    this.#controller.abort()
  }

  [Symbol.asyncIterator](): AsyncIterator<string> {
    return {
      next: () => this.#next(),
      return: async () => {
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
        emit: (text) => this.#emit(text),
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

  #emit(text: string): void {
    if (this.#ended || text === '') return
    this.#pieces.push(text)
    this.#wake()
  }

  async #next(): Promise<IteratorResult<string>> {
    for (;;) {
      if (this.#read < this.#pieces.length) {
        const value = this.#pieces[this.#read++]
        if (this.#read === this.#pieces.length) {
          this.#pieces = []
          this.#read = 0
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
