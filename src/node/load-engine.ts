/**
 * From a name or path to an engine, without tokenizer, sampling or text: what `loadModel` builds on and
 * what speed tests drive.
 */
import type { Backend } from '../backends/backend.ts'
import { openBackend } from '../backends/select.ts'
import type { ModelFile } from '../formats/model-file.ts'
import type { LoadOptions } from '../generate/language-model.ts'
import type { ModelConfig } from '../model/config.ts'
import { createDecoder, type Decoder } from '../model/decoder.ts'
import { readConfig } from '../model/read-config.ts'
import { type LoadedWeights, loadWeights } from '../model/weights.ts'
import { resolveModel } from './default-model.ts'
import { openModelFile } from './open-model.ts'

export interface LoadedEngine {
  readonly backend: Backend
  readonly weights: LoadedWeights
  readonly decoder: Decoder
  readonly loadMs: number
  /** Frees all of it, the backend included. */
  dispose(): void
}

/**
 * Loads a model's engine.
 *
 * @param source as for `loadModel`
 * @throws ModelNotFoundError | FormatError | BackendError | UsageError, or the signal's reason; nothing
 *   stays open or allocated then
 */
export async function loadEngine(
  source?: string,
  options: LoadOptions = {},
): Promise<LoadedEngine> {
  const began = performance.now()
  options.signal?.throwIfAborted()
  const { file } = await openModelFile(await resolveModel(source))
  try {
    return await openEngine(file, readConfig(file), options, began)
  } finally {
    // The weights are in the backend's memory by now, or not needed any more.
    await file.close()
  }
}

/**
 * Opens a backend and loads a file's weights onto it. The file stays open.
 *
 * @param began when loading began, by `performance.now()`
 */
export async function openEngine(
  file: ModelFile,
  config: ModelConfig,
  options: LoadOptions,
  began: number,
): Promise<LoadedEngine> {
  const backend = await openBackend(options)
  try {
    const weights = await loadWeights(backend, file, config, options)
    const decoder = createDecoder(backend, config, weights, { cacheType: options.kv })
    return {
      backend,
      weights,
      decoder,
      loadMs: performance.now() - began,
      dispose: () => {
        decoder.dispose()
        weights.dispose()
        backend.dispose()
      },
    }
  } catch (error) {
    // Frees all that was allocated on it.
    backend.dispose()
    throw error
  }
}
