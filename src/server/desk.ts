/**
 * What every route that computes has around what is its own: a turn, the model, a time limit, and an answer at
 * once or piece by piece that gives the turn back when it ends.
 */
import { messageOf, withoutUnset } from '../checks.ts'
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
  /** Ends its connection in the middle of a stream. */
  readonly breakOff?: (() => void) | undefined
  /** Told by an answer that goes on after its response has begun, and when that ends. */
  lastsUntil(end: Promise<void>): void
}

export interface DeskParts {
  readonly shelf: ModelShelf
  readonly admission: Admission
  readonly metrics: Metrics
  readonly limits: ResolvedLimits
  readonly log: (entry: LogEntry) => void
  /** Whether it gets prompts and answers. */
  readonly logsContent: boolean
}

/** What a request says of whom it wants and how soon; ours beside the model are the others. */
export interface Wish {
  readonly model?: string | undefined
  readonly priority?: number | undefined
  /** Seconds from the request on, after which its answer ends as it is. */
  readonly deadline?: number | undefined
}

/** What a route is given to work with while it has a turn. */
export interface Turn {
  readonly model: LanguageModel
  readonly modelId: string
  /** Aborts when the client has gone or the time is up. */
  readonly signal: AbortSignal
  /** Whose it is and how soon it is wanted, for whatever of the model is asked. */
  readonly job: Pick<GenerateOptions, 'priority' | 'client' | 'deadline' | 'signal'>
  /** Generates: tokens that say something as they come, and the result, which is counted. */
  answer(prompt: Prompt, options: GenerateOptions): Answer
}

/** An answer as it comes. Of its tokens those are left out that neither text nor probabilities came with. */
export type Answer = AsyncGenerator<TokenEvent, GenerateResult>

/** Of a timer, in milliseconds. */
const LONGEST_MS = 2 ** 31 - 1

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
    wish: Wish,
    work: (turn: Turn) => Promise<unknown>,
  ): Promise<Response> {
    const { shelf } = this.#parts
    const modelId = shelf.idOf(wish.model)
    const { signal, fork, end } = this.#limited(visit, wish)
    let leave: (() => void) | undefined
    try {
      leave = await this.#enter(visit, wish, signal)
      const value = await shelf.use(modelId, signal, (model) =>
        work(this.#turn(visit, wish, { modelId, model, signal, fork })),
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
    wish: Wish,
    headers: Readonly<Record<string, string>>,
    work: (turn: Turn) => AsyncGenerator<string, void>,
  ): Promise<Response> {
    const { shelf, limits, log } = this.#parts
    const modelId = shelf.idOf(wish.model)
    const { signal, fork, abort, end } = this.#limited(visit, wish)
    const leave = await this.#enter(visit, wish, signal).catch((error) => {
      end()
      throw error
    })
    let close = (): void => undefined
    const closed = new Promise<void>((resolve) => (close = resolve))
    const { requestId, breakOff } = visit
    visit.lastsUntil(closed)
    return new Promise<Response>((resolve, reject) => {
      const whole = shelf.use(modelId, signal, async (model) => {
        const pieces = work(this.#turn(visit, wish, { modelId, model, signal, fork }))
        // The first piece comes when the prompt has been found right.
        const first = await pieces.next()
        const body = streamBody(first, pieces, {
          stallMs: limits.stallSeconds * 1000,
          cancel: (reason) => {
            log({ level: 'info', event: reason, requestId })
            abort(new Error(`The client has ${reason}.`))
          },
          done: (error) => {
            if (error !== undefined && !signal.aborted) {
              log({ level: 'error', event: 'failure', requestId, reason: messageOf(error) })
            }
            close()
          },
          breakOff,
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
  #limited({ signal: asked, beganAt }: Visit, { deadline }: Wish) {
    const controller = new AbortController()
    const parts = [controller]
    const abort = (reason: unknown): void => {
      for (const part of parts) part.abort(reason)
    }
    // A request of many answers gives each a signal: Node warns of one that many listen to.
    const fork = (): AbortSignal => {
      const part = new AbortController()
      if (controller.signal.aborted) part.abort(controller.signal.reason)
      parts.push(part)
      return part.signal
    }
    const leave = (): void => abort(asked.reason)
    const late = (): void => abort(new DOMException('The time of a request is up.', 'TimeoutError'))
    const { seconds } = this.#parts.limits
    const until = beganAt + 1000 * Math.min(seconds, deadline ?? seconds)
    const timer = setTimeout(late, Math.min(until - performance.now(), LONGEST_MS))
    asked.addEventListener('abort', leave, { once: true })
    if (asked.aborted) leave()
    const end = (): void => {
      clearTimeout(timer)
      asked.removeEventListener('abort', leave)
    }
    return { signal: controller.signal, fork, abort, end }
  }

  /** @returns what gives the turn back */
  async #enter(visit: Visit, wish: Wish, signal: AbortSignal): Promise<() => void> {
    const waiting = visit.span.begin('wait')
    try {
      const priority = priorityOf(visit, wish)
      const { deadline } = wish
      return await this.#parts.admission.enter({ key: visit.key, priority, deadline }, signal)
    } finally {
      waiting.end()
    }
  }

  #turn(
    visit: Visit,
    wish: Wish,
    { fork, ...place }: Pick<Turn, 'model' | 'modelId' | 'signal'> & { fork(): AbortSignal },
  ): Turn {
    const { metrics, limits, log, logsContent } = this.#parts
    const { model, modelId, signal } = place
    const { deadline } = wish
    /** How the engine tells its jobs apart. */
    const job = withoutUnset({
      priority: priorityOf(visit, wish),
      client: visit.client,
      deadline: deadline && Math.max(1, visit.beganAt + 1000 * deadline - performance.now()),
      signal,
    })
    return {
      ...place,
      job,
      async *answer(prompt, options) {
        const room = model.contextLength
        const generation = model.generate(prompt, {
          ...options,
          maxTokens: Math.min(options.maxTokens ?? room, limits.maxTokens, room),
          ...job,
          signal: fork(),
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
          if (logsContent) {
            const said = { prompt, text: result.text, finishReason }
            log({ level: 'info', event: 'answer', requestId: visit.requestId, ...said })
          }
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

/** A request may let others go before it, and not go before them. */
function priorityOf({ priority }: Visit, wish: Wish): number {
  return Math.min(wish.priority ?? priority, priority)
}

/** The result alone. */
export async function resultOf(answer: Answer): Promise<GenerateResult> {
  for (;;) {
    const { done, value } = await answer.next()
    if (done === true) return value
  }
}
