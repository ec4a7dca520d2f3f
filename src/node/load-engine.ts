/**
 * From a name or path to an engine, without tokenizer, sampling or text: what `loadModel` builds on and
 * what speed tests drive.
 */
import { openBackend } from '../backends/select.ts'
import { type LoadedEngine, openEngine } from '../generate/assemble-model.ts'
import { configToRun } from '../model/config/config-to-run.ts'
import { weightImages } from './images/image-store.ts'
import { openModelFile } from './open-model.ts'
import { type NodeLoadOptions, resolveModel } from './resolve-model.ts'

export type { LoadedEngine } from '../generate/assemble-model.ts'

/**
 * Loads a model's engine.
 *
 * @param source as for `loadModel`
 * @throws ModelNotFoundError | FormatError | BackendError | UsageError, or the signal's reason; nothing
 *   stays open or allocated then
 */
export async function loadEngine(
  source?: string,
  options: NodeLoadOptions = {},
): Promise<LoadedEngine> {
  const began = performance.now()
  const images = options.image === false ? undefined : weightImages()
  options.signal?.throwIfAborted()
  const { file } = await openModelFile(await resolveModel(source, options))
  try {
    return await openEngine(file, await configToRun(file), options, began, openBackend, images)
  } finally {
    // The weights are in the backend's memory by now, or not needed any more.
    await file.close()
  }
}
