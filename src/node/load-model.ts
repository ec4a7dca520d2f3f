/**
 * From a name, path, address or bytes to a model, in Node: from disk, memory or the hub, onto the backend
 * that suits, with packed weights kept between two starts.
 */
import { totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../checks.ts'
import { UsageError } from '../errors.ts'
import { openGguf } from '../formats/model-folder.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import type { LoadOptions, ModelSource } from '../generate/load/load-options.ts'
import {
  type LoadedEngine,
  type LoadingPlace,
  loadEngineAt,
  loadModelAt,
} from '../generate/load/loading.ts'
import { givenSource } from '../hub/given-source.ts'
import { openRangeSource } from '../hub/range-source.ts'
import { weightImages } from './images/image-store.ts'
import { openBestBackend } from './open-backend.ts'
import { openModelFile } from './open-model.ts'
import { resolveModel } from './resolve-model.ts'

const NODE: LoadingPlace<ModelSource | undefined> = {
  open: async (source, options) => {
    const given = source === undefined ? undefined : givenSource(source)
    if (given === undefined || given.kind === 'text') {
      const name = given && pathOrName(given.text)
      return openModelFile(await resolveModel(name, options))
    }
    if (given.kind === 'bytes') return { file: await openGguf(given.bytes), tokenizerFiles: {} }
    const { url } = given
    if (/^(file|https?):$/.test(url.protocol)) {
      return openModelFile(await resolveModel(pathOrName(url.href), options))
    }
    // "blob:" and "data:" are of this process; what fetch does not know either, it says.
    const bytes = await openRangeSource(url, { signal: options.signal })
    return { file: await openGguf(bytes), tokenizerFiles: {} }
  },
  openBackend: openBestBackend,
  // A container may have less than the machine.
  memoryBytes: () => Math.min(totalmem(), process.constrainedMemory() || Infinity),
  // An image is told by the file that it was made of.
  images: (source) => (isOnDisk(source) ? weightImages() : undefined),
}

/**
 * Loads a model.
 *
 * @param source the embedded model's name, or a path or file: address of a .gguf file, a .safetensors file
 *   with config.json beside it, or a Hugging Face style folder; or a model of the hub, as an alias,
 *   "owner/name", "hf:owner/name:file@revision" or an address, which is fetched into the cache if it
 *   is not there; or the bytes of a GGUF file, as a File or other Blob, too; unset: the embedded model
 * @throws ModelNotFoundError | DownloadError | FormatError | BackendError | UsageError, or the
 *   signal's reason; nothing stays open or allocated then
 *
 * @example
 * const model = await loadModel()
 * for await (const text of model.generate('Once upon a time')) process.stdout.write(text)
 * await model.dispose()
 */
export function loadModel(source?: ModelSource, options: LoadOptions = {}): Promise<LanguageModel> {
  return loadModelAt(NODE, source, options)
}

/** The same without text: what speed tests drive. */
export function loadEngine(source?: ModelSource, options: LoadOptions = {}): Promise<LoadedEngine> {
  return loadEngineAt(NODE, source, options)
}

/** @throws UsageError for a file: address of another machine */
function pathOrName(text: string): string {
  if (!/^file:/i.test(text)) return text
  try {
    return fileURLToPath(text)
  } catch (error) {
    throw new UsageError(`Expected the address of a file here, got "${text}": ${messageOf(error)}.`)
  }
}

function isOnDisk(source: ModelSource | undefined): boolean {
  return source === undefined || typeof source === 'string' || source instanceof URL
}
