/**
 * What every route that computes has around what is its own: a turn, the model, a time limit, and an answer at
 * once or piece by piece that gives the turn back when it ends.
 */
import type { LanguageModel, Prompt } from '../generate/language-model.ts'
import type { GenerateOptions, GenerateResult, TokenEvent } from '../generate/options.ts'
import type { Admission } from './limits/admission.ts'
import type { Metrics } from './metrics.ts'
import type { ModelShelf } from './model-shelf.ts'
import type { LogEntry, ResolvedLimits } from './options.ts'
import { streamBody } from './stream.ts'
import type { Span } from './tracing.ts'

/** Who asks, and until when anybody listens. */
export interface Visit {
  readonly requestId: string
  /** The name of the key. */
  readonly key: string
  /** Whose part of the model it takes; undefined where nobody is told apart. */
  readonly client: string | undefined
  /** The highest priority that its requests may have. */
  readonly priority: number
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal
  /** Milliseconds, as performance.now() has them. */
  readonly beganAt: number
  readonly span: Span
  /** Told by an answer that goes on after its response has begun, and when that ends. */
  lastsUntil(end: Promise<void>): void
}

export interface DeskParts {
  readonly shelf: ModelShelf
  readonly admission: Admission
  readonly metrics: Metrics
  readonly limits: ResolvedLimits
  readonly log: (entry: LogEntry) => void
}

/** What a route is given to work with while it has a turn. */
export interface Turn {
  readonly model: LanguageModel
  readonly modelId: string
  /** Aborts when the client has gone or the time is up. */
  readonly signal: AbortSignal
  /** Generates: tokens that say something as they come, and the result, which is counted. */
  answer(prompt: Prompt, options: GenerateOptions): Answer
}

/** An answer as it comes. Of its tokens those are left out that neither text nor probabilities came with. */
export type Answer = AsyncGenerator<TokenEvent, GenerateResult>

export class Desk {
  readonly #parts: DeskParts

  constructor(parts: DeskParts) {
    this.#parts = parts
  }

  get shelf(): ModelShelf {
    return this.#parts.shelf
  }

  get limits(): ResolvedLimits {
    return this.#parts.limits
  }

  /** Answers at once. */
  async answer(
    visit: Visit,
    asked: string | undefined,
    work: (turn: Turn) => Promise<unknown>,
  ): Promise<Response> {
    const { shelf } = this.#parts
    const modelId = shelf.idOf(asked)
    const { signal, end } = this.#limited(visit)
    let leave: (() => void) | undefined
    try {
      leave = await this.#enter(visit, signal)
      const value = await shelf.use(modelId, signal, (model) =>
        work(this.#turn(visit, modelId, model, signal)),
      )
      return Response.json(value)
    } finally {
      end()
      leave?.()
    }
  }

  /**
   * Answers piece by piece. What goes wrong before the first piece is thrown; later it ends the stream.
   *
   * @param work gives the pieces of the body
   */
  async stream(
    visit: Visit,
    asked: string | undefined,
    headers: Readonly<Record<string, string>>,
    work: (turn: Turn) => AsyncGenerator<string, void>,
  ): Promise<Response> {
    const { shelf, limits, log } = this.#parts
    const modelId = shelf.idOf(asked)
    const { signal, abort, end } = this.#limited(visit)
    const leave = await this.#enter(visit, signal).catch((error) => {
      end()
      throw error
    })
    let close = (): void => undefined
    const closed = new Promise<void>((resolve) => (close = resolve))
    visit.lastsUntil(closed)
    return new Promise<Response>((resolve, reject) => {
      const whole = shelf.use(modelId, signal, async (model) => {
        const pieces = work(this.#turn(visit, modelId, model, signal))
        // The first piece comes when the prompt has been found right.
        const first = await pieces.next()
        const body = streamBody(first, pieces, {
          stallMs: limits.stallSeconds * 1000,
          cancel: (reason) => {
            log({ level: 'info', event: reason, requestId: visit.requestId })
            abort(new Error(`The client has ${reason}.`))
          },
          done: close,
        })
        resolve(new Response(body, { headers }))
        await closed
      })
      whole.catch(reject).finally(() => {
        close()
        end()
        leave()
      })
    })
  }

  /**
   * Aborts when the client has gone, when the time is up, or when it is said. AbortSignal.any and AbortSignal.timeout
   * would do, but leave a timer and weak references behind each request.
   */
  #limited({ signal: asked }: Visit) {
    const controller = new AbortController()
    const abort = (reason: unknown): void => controller.abort(reason)
    const leave = (): void => abort(asked.reason)
    const late = (): void => abort(new DOMException('The time of a request is up.', 'TimeoutError'))
    const timer = setTimeout(late, this.#parts.limits.seconds * 1000)
    asked.addEventListener('abort', leave, { once: true })
    if (asked.aborted) leave()
    const end = (): void => {
      clearTimeout(timer)
      asked.removeEventListener('abort', leave)
    }
    return { signal: controller.signal, abort, end }
  }

  /** @returns what gives the turn back */
  async #enter({ key, span }: Visit, signal: AbortSignal): Promise<() => void> {
    const waiting = span.begin('wait')
    try {
      return await this.#parts.admission.enter(key, signal)
    } finally {
      waiting.end()
    }
  }

  #turn(visit: Visit, modelId: string, model: LanguageModel, signal: AbortSignal): Turn {
    const { metrics, limits } = this.#parts
    return {
      model,
      modelId,
      signal,
      async *answer(prompt, options) {
        const room = model.contextLength
        const generation = model.generate(prompt, {
          ...options,
          maxTokens: Math.min(options.maxTokens ?? room, limits.maxTokens, room),
          // A request may let others go before it, and not go before them.
          priority: Math.min(options.priority ?? visit.priority, visit.priority),
          ...(visit.client === undefined ? {} : { client: visit.client }),
          signal,
        })
        const span = visit.span.begin('generate', { 'gen_ai.request.model': modelId })
        let isFirst = true
        try {
          for await (const token of generation.tokens()) {
            if (isFirst) {
              const seconds = (performance.now() - visit.beganAt) / 1000
              metrics.firstToken(modelId, seconds)
              span.set({ 'gen_ai.server.time_to_first_token': seconds })
            }
            isFirst = false
            if (token.text !== '' || token.logprobs !== undefined) yield token
          }
          const result = await generation.result
          metrics.answer(modelId, result)
          const { finishReason, usage } = result
          span.set({
            'gen_ai.usage.input_tokens': usage.promptTokens,
            'gen_ai.usage.output_tokens': usage.completionTokens,
            'gen_ai.usage.cache_read.input_tokens': usage.cachedTokens,
            'gen_ai.response.finish_reason': finishReason,
          })
          return result
        } finally {
          span.end()
        }
      },
    }
  }
}

/** The result alone. */
export async function resultOf(answer: Answer): Promise<GenerateResult> {
  for (;;) {
    const { done, value } = await answer.next()
    if (done === true) return value
  }
}
