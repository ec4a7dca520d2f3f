/**
 * From a name or path to a model that generates: finds the file, opens a backend, loads the weights and
 * the tokenizer, and puts them together.
 */
import { openBackend } from '../backends/select.ts'
import { assembleModel } from '../generate/assemble-model.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import { weightImages } from './images/image-store.ts'
import { openModelFile } from './open-model.ts'
import { type NodeLoadOptions, resolveModel } from './resolve-model.ts'

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
export async function loadModel(
  source?: string,
  options: NodeLoadOptions = {},
): Promise<LanguageModel> {
  const began = performance.now()
  const images = options.image === false ? undefined : weightImages()
  options.signal?.throwIfAborted()
  const opened = await openModelFile(await resolveModel(source, options))
  try {
    return await assembleModel(opened, options, began, openBackend, images)
  } finally {
    // The weights are in the backend's memory by now, or not needed any more.
    await opened.file.close()
  }
}
