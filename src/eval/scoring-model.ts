/** What evaluation needs of a loaded model: its engine, and the right to run it. */
import { UsageError } from '../errors.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import { Runtime } from '../generate/schedule/runtime.ts'
import type { DecodeEngine } from '../model/engine.ts'
import type { TextTokenizer } from '../tokenizer/text-tokenizer.ts'

export interface ScoringModel {
  readonly engine: DecodeEngine
  readonly tokenizer: TextTokenizer
  readonly cacheBytesPerToken: number
  /**
   * Runs a pass alone, in turn with whatever else the model does.
   *
   * @throws the signal's reason once it is aborted
   */
  exclusively(signal: AbortSignal, pass: () => Promise<void>): Promise<void>
}

/**
 * Lends the engine of a model to `work`. Disposing of the model aborts it.
 *
 * @throws UsageError if the model was disposed or is not one of `loadModel`'s
 */
export async function withScoringModel<T>(
  model: LanguageModel,
  signal: AbortSignal | undefined,
  work: (scoring: ScoringModel, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const runtime = Runtime.of(model)
  if (runtime === undefined) {
    throw new UsageError('Expected a model that loadModel gave, got another object.')
  }
  runtime.assertUsable()
  const controller = new AbortController()
  const abort = () => controller.abort(signal?.reason)
  signal?.throwIfAborted()
  signal?.addEventListener('abort', abort, { once: true })
  const scoring: ScoringModel = {
    engine: runtime.engine,
    tokenizer: runtime.tokenizer,
    cacheBytesPerToken: model.memory.cacheBytesPerToken,
    async exclusively(signal, pass) {
      if (!(await runtime.lock.run(signal, pass))) signal.throwIfAborted()
    },
  }
  try {
    return await runtime.track(work(scoring, controller.signal), () => controller.abort())
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}
