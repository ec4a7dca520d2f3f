/** What evaluation needs of a loaded model: its engine, and the right to run it. */
import { UsageError } from '../errors.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import { Runtime } from '../generate/schedule/runtime.ts'

/** What an evaluation needs of a model. */
export type ScoringModel = Pick<Runtime, 'engine' | 'tokenizer' | 'facts' | 'exclusively'>

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
  signal?.throwIfAborted()
  return runtime.run(signal, (ended) => work(runtime, ended))
}
