/**
 * From a name or path to a model, in Node: from disk or the hub, onto the backend that suits, with packed
 * weights kept between two starts.
 */
import { openBackend } from '../backends/select.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import type { LoadOptions } from '../generate/load/load-options.ts'
import {
  type LoadedEngine,
  type LoadingPlace,
  loadEngineAt,
  loadModelAt,
} from '../generate/load/loading.ts'
import { weightImages } from './images/image-store.ts'
import { openModelFile } from './open-model.ts'
import { resolveModel } from './resolve-model.ts'

const NODE: LoadingPlace<string | undefined> = {
  open: async (source, options) => openModelFile(await resolveModel(source, options)),
  openBackend,
  images: weightImages,
}

/**
 * Loads a model.
 *
 * @param source the embedded model's name, or a path to a .gguf file, a .safetensors file with
 *   config.json beside it, or a Hugging Face style folder; or a model of the hub, as an alias,
 *   "owner/name", "hf:owner/name:file@revision" or an address, which is fetched into the cache if it
 *   is not there; unset: the embedded model
 * @throws ModelNotFoundError | DownloadError | FormatError | BackendError | UsageError, or the
 *   signal's reason; nothing stays open or allocated then
 *
 * @example
 * const model = await loadModel()
 * for await (const text of model.generate('Once upon a time')) process.stdout.write(text)
 * await model.dispose()
 */
export function loadModel(source?: string, options: LoadOptions = {}): Promise<LanguageModel> {
  return loadModelAt(NODE, source, options)
}

/** The same without text: what speed tests drive. */
export function loadEngine(source?: string, options: LoadOptions = {}): Promise<LoadedEngine> {
  return loadEngineAt(NODE, source, options)
}
