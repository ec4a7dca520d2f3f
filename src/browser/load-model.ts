/**
 * Loads a model in a browser: from a server, from the hub, from a file that somebody chose, or from memory.
 */
import { checkBackend, openPortableBackend, PORTABLE } from '../backends/open-portable.ts'
import { ModelNotFoundError } from '../errors.ts'
import type { OpenedModel } from '../formats/model-file.ts'
import { openGguf, openGgufIn } from '../formats/model-folder.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import type { LoadOptions, ModelSource } from '../generate/load/load-options.ts'
import {
  type LoadedEngine,
  type LoadingPlace,
  loadEngineAt,
  loadModelAt,
} from '../generate/load/loading.ts'
import { givenSource } from '../hub/given-source.ts'
import type { HubModel, UrlModel } from '../hub/model-name.ts'
import { openRangeSource } from '../hub/range-source.ts'
import { urlFolder } from '../hub/url-folder.ts'
import { isRemote, namedModel } from './named-model.ts'
import type { ModelStore } from './store/open-store.ts'

const ADVICE =
  " No model comes along with a page: give the address of a .gguf file, as in loadModel('/models/a.gguf'), " +
  'a File that somebody chose, the bytes of one, or the name of a model of the hub.'

const placeWith = (store: ModelStore | undefined): LoadingPlace<ModelSource> => ({
  open: async (source, { backend, signal, onDownload }) => {
    checkBackend(PORTABLE, backend)
    const given = givenSource(source, ADVICE)
    if (given.kind === 'bytes') return ofGguf(given.bytes)
    const text = given.kind === 'text' ? given.text : given.url.href
    try {
      const model = namedModel(text)
      if (store !== undefined && isRemote(model)) {
        return await store.open(model, { signal, onDownload })
      }
      return await (model.kind === 'hub' ? openHubModel(model, signal) : openUrl(model, signal))
    } catch (error) {
      if (!(error instanceof ModelNotFoundError) || given.kind === 'url') throw error
      throw new ModelNotFoundError(
        `${error.message} In a browser a text is an address, relative to the page, or a name of the hub: ` +
          'owner/name, hf:owner/name:file or an alias; "./owner/name" is an address.',
        { source: text },
      )
    }
  },
  openBackend: openPortableBackend,
})

export interface BrowserLoadOptions extends LoadOptions {
  /**
   * Keeps what comes from an address or from the hub, and gives it back at the next load without asking the server;
   * {@link openModelStore} opens one. Unset: nothing is kept. Files and bytes that are given are not kept either.
   */
  readonly store?: ModelStore
}

/**
 * Loads a model. It streams tensor by tensor into the backend's memory.
 *
 * @param source an address, relative to the page if it is a text; a File or other Blob; the bytes of a GGUF
 *   file; or a model of the hub, as an alias, "owner/name" or "hf:owner/name:file@revision"
 * @throws ModelNotFoundError | DownloadError | FormatError | BackendError | UsageError, with a store BitnetError
 *   with code DISK_FULL or CACHE, or the signal's reason; nothing stays open or allocated then
 *
 * @example
 * const model = await loadModel('models/bitnet-ja-en-58m.gguf')
 * for await (const text of model.generate('Once upon a time')) document.body.append(text)
 * await model.dispose()
 */
export function loadModel(
  source: ModelSource,
  options: BrowserLoadOptions = {},
): Promise<LanguageModel> {
  // What is no object is for the check of all options.
  if (typeof options !== 'object' || options === null) {
    return loadModelAt(placeWith(undefined), source, options)
  }
  const { store, ...own } = options
  return loadModelAt(placeWith(store), source, own)
}

/** The same without text: what speed tests drive. */
export function loadEngine(source: ModelSource, options: LoadOptions = {}): Promise<LoadedEngine> {
  return loadEngineAt(placeWith(undefined), source, options)
}

async function openUrl(model: UrlModel, signal: AbortSignal | undefined): Promise<OpenedModel> {
  const url = new URL(model.url)
  // What is in memory has no neighbours that could be other parts of the model.
  if (!isRemote(model)) return ofGguf(await openRangeSource(url, { signal }))
  const folder = urlFolder(url, (address) => openRangeSource(address, { signal }))
  return { file: await openGgufIn(folder, folder.file), tokenizerFiles: {} }
}

/** Without a store nothing is kept: a browser's own cache may have what was read before. */
async function openHubModel(model: HubModel, signal?: AbortSignal): Promise<OpenedModel> {
  const [{ HUB, webClient }, { openRemoteModel }] = await Promise.all([
    import('./web-client.ts'),
    import('../hub/remote-model.ts'),
  ])
  const client = webClient(HUB)
  const options = { readsAll: true, ...(signal && { signal }) }
  return (await openRemoteModel(model, client, options)).opened
}

async function ofGguf(source: Parameters<typeof openGguf>[0]): Promise<OpenedModel> {
  return { file: await openGguf(source), tokenizerFiles: {} }
}
