/**
 * Loads a model in a browser: from a server, from a file that somebody chose, or from memory.
 */
import { openPortableBackend } from '../backends/open-portable.ts'
import { UsageError } from '../errors.ts'
import { memorySource } from '../formats/memory-source.ts'
import type { GgufFile } from '../formats/model-file.ts'
import { openGguf, openGgufIn } from '../formats/model-folder.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import type { LoadOptions } from '../generate/load/load-options.ts'
import {
  type LoadedEngine,
  type LoadingPlace,
  loadEngineAt,
  loadModelAt,
} from '../generate/load/loading.ts'
import { blobSource } from '../hub/blob-source.ts'
import { openRangeSource } from '../hub/range-source.ts'
import { urlFolder } from '../hub/url-folder.ts'

/** An address, relative to the page if it is a string; a File or other Blob; or a whole file's bytes. */
type BrowserSource = string | URL | Blob | Uint8Array

const BROWSER: LoadingPlace<BrowserSource> = {
  open: async (source, { signal }) => {
    return { file: await openSource(source, signal), tokenizerFiles: {} }
  },
  openBackend: openPortableBackend,
}

/**
 * Loads a GGUF model. It streams tensor by tensor into the backend's memory.
 *
 * @param source an address, relative to the page if it is a string; a File or other Blob; or the bytes
 *   of a whole file
 * @throws ModelNotFoundError | FormatError | BackendError | UsageError, or the signal's reason; nothing
 *   stays open or allocated then
 *
 * @example
 * const model = await loadModel('models/bitnet-ja-en-58m.gguf')
 * for await (const text of model.generate('Once upon a time')) document.body.append(text)
 * await model.dispose()
 */
export function loadModel(
  source: BrowserSource,
  options: LoadOptions = {},
): Promise<LanguageModel> {
  return loadModelAt(BROWSER, source, options)
}

/** The same without text: what speed tests drive. */
export function loadEngine(
  source: BrowserSource,
  options: LoadOptions = {},
): Promise<LoadedEngine> {
  return loadEngineAt(BROWSER, source, options)
}

async function openSource(
  source: BrowserSource,
  signal: AbortSignal | undefined,
): Promise<GgufFile> {
  if (source instanceof Blob) return openGguf(blobSource(source))
  if (source instanceof Uint8Array) return openGguf(memorySource(source))
  const base = globalThis.location?.href
  if (URL.canParse(source, base)) {
    const folder = urlFolder(new URL(source, base), (url) => openRangeSource(url, { signal }))
    return openGgufIn(folder, folder.file)
  }
  throw new UsageError(`Expected the address of a model, got "${source}".`)
}
