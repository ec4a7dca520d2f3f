/**
 * Loads a model in a browser: from a server, from a file that somebody chose, or from memory.
 */
import { openPortableBackend } from '../backends/open-portable.ts'
import { UsageError } from '../errors.ts'
import { parseGguf } from '../formats/gguf/index.ts'
import { memorySource } from '../formats/memory-source.ts'
import type { ByteSource } from '../formats/model-file.ts'
import { assembleModel } from '../generate/assemble-model.ts'
import type { LanguageModel, LoadOptions } from '../generate/language-model.ts'
import { blobSource } from '../hub/blob-source.ts'
import { openRangeSource } from '../hub/range-source.ts'

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
export async function loadModel(
  source: string | URL | Blob | Uint8Array,
  options: LoadOptions = {},
): Promise<LanguageModel> {
  const began = performance.now()
  options.signal?.throwIfAborted()
  const bytes = await openSource(source, options.signal)
  try {
    const file = await parseGguf(bytes)
    return await assembleModel({ file, tokenizerFiles: {} }, options, began, openPortableBackend)
  } finally {
    // The weights are in the backend's memory by now, or not needed any more.
    await bytes.close()
  }
}

async function openSource(
  source: string | URL | Blob | Uint8Array,
  signal: AbortSignal | undefined,
): Promise<ByteSource> {
  if (source instanceof Blob) return blobSource(source)
  if (source instanceof Uint8Array) return memorySource(source)
  const base = globalThis.location?.href
  if (URL.canParse(source, base)) return openRangeSource(new URL(source, base), { signal })
  throw new UsageError(`Expected the address of a model, got "${source}".`)
}
