/**
 * What every route that computes has around what is its own: a turn, the model, a time limit, and an answer at
 * once or piece by piece that gives the turn back when it ends.
 */
import type { LanguageModel, Prompt } from '../generate/language-model.ts'
import type { GenerateOptions, GenerateResult } from '../generate/options.ts'
import type { Admission } from './limits/admission.ts'
import type { Metrics } from './metrics.ts'
import type { ModelShelf } from './model-shelf.ts'
import type { LogEntry, ResolvedLimits } from './options.ts'
import { streamBody } from './stream.ts'

/** Who asks, and until when anybody listens. */
export interface Visit {
  readonly requestId: string
  /** The name of the key. */
  readonly key: string
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal
  /** Milliseconds, as performance.now() has them. */
  readonly beganAt: number
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
  /** Generates: pieces of text as they come, and the result, which is counted. */
  texts(prompt: Prompt, options: GenerateOptions): AsyncGenerator<string, GenerateResult>
}

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
    const { shelf, admission } = this.#parts
    const modelId = shelf.idOf(asked)
    const signal = this.#signalOf(visit)
    const leave = await admission.enter(visit.key, signal)
    try {
      const value = await shelf.use(modelId, signal, (model) =>
        work(this.#turn(visit, modelId, model, signal)),
      )
      return Response.json(value)
    } finally {
      leave()
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
    const { shelf, admission, limits, log } = this.#parts
    const modelId = shelf.idOf(asked)
    const controller = new AbortController()
    const signal = AbortSignal.any([this.#signalOf(visit), controller.signal])
    const leave = await admission.enter(visit.key, signal)
    let close = (): void => undefined
    const closed = new Promise<void>((resolve) => (close = resolve))
    return new Promise<Response>((resolve, reject) => {
      const whole = shelf.use(modelId, signal, async (model) => {
        const pieces = work(this.#turn(visit, modelId, model, signal))
        // The first piece comes when the prompt has been found right.
        const first = await pieces.next()
        const body = streamBody(resumed(first, pieces), {
          stallMs: limits.stallSeconds * 1000,
          cancel: (reason) => {
            log({ level: 'info', event: reason, requestId: visit.requestId })
            controller.abort(new Error(`The client has ${reason}.`))
          },
          done: close,
        })
        resolve(new Response(body, { headers }))
        await closed
      })
      whole.catch(reject).finally(leave)
    })
  }

  #signalOf({ signal }: Visit): AbortSignal {
    return AbortSignal.any([signal, AbortSignal.timeout(this.#parts.limits.seconds * 1000)])
  }

  #turn(visit: Visit, modelId: string, model: LanguageModel, signal: AbortSignal): Turn {
    const { metrics, limits } = this.#parts
    return {
      model,
      modelId,
      signal,
      async *texts(prompt, options) {
        const room = model.config.contextLength
        const maxTokens = Math.min(options.maxTokens ?? room, limits.maxTokens, room)
        const generation = model.generate(prompt, { ...options, maxTokens, signal })
        let isFirst = true
        for await (const text of generation) {
          if (isFirst) metrics.firstToken(modelId, (performance.now() - visit.beganAt) / 1000)
          isFirst = false
          yield text
        }
        const result = await generation.result
        metrics.answer(modelId, result)
        return result
      },
    }
  }
}

/** The result alone. */
export async function resultOf(
  texts: AsyncGenerator<string, GenerateResult>,
): Promise<GenerateResult> {
  for (;;) {
    const { done, value } = await texts.next()
    if (done === true) return value
  }
}

async function* resumed(
  first: IteratorResult<string, void>,
  rest: AsyncGenerator<string, void>,
): AsyncGenerator<string, void> {
  try {
    if (first.done === true) return
    yield first.value
    yield* rest
  } finally {
    await rest.return()
  }
}
