/**
 * Loads a model in a browser: from a server, from the hub, from a file that somebody chose, or from memory.
 */
import { checkBackend, openPortableBackend, PORTABLE } from '../backends/open-portable.ts'
import { ModelNotFoundError, UsageError } from '../errors.ts'
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
import { type HubModel, parseModelName } from '../hub/model-name.ts'
import { openRangeSource } from '../hub/range-source.ts'
import { urlFolder } from '../hub/url-folder.ts'

const HUB = 'https://huggingface.co'

const ADVICE =
  " No model comes along with a page: give the address of a .gguf file, as in loadModel('/models/a.gguf'), " +
  'a File that somebody chose, the bytes of one, or the name of a model of the hub.'

const BROWSER: LoadingPlace<ModelSource> = {
  open: async (source, { backend, signal }) => {
    checkBackend(PORTABLE, backend)
    const given = givenSource(source, ADVICE)
    if (given.kind === 'bytes') return ofGguf(given.bytes)
    const text = given.kind === 'text' ? given.text : given.url.href
    try {
      return await openText(text, signal)
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
}

/**
 * Loads a model. It streams tensor by tensor into the backend's memory.
 *
 * @param source an address, relative to the page if it is a text; a File or other Blob; the bytes of a GGUF
 *   file; or a model of the hub, as an alias, "owner/name" or "hf:owner/name:file@revision"
 * @throws ModelNotFoundError | DownloadError | FormatError | BackendError | UsageError, or the
 *   signal's reason; nothing stays open or allocated then
 *
 * @example
 * const model = await loadModel('models/bitnet-ja-en-58m.gguf')
 * for await (const text of model.generate('Once upon a time')) document.body.append(text)
 * await model.dispose()
 */
export function loadModel(source: ModelSource, options: LoadOptions = {}): Promise<LanguageModel> {
  return loadModelAt(BROWSER, source, options)
}

/** The same without text: what speed tests drive. */
export function loadEngine(source: ModelSource, options: LoadOptions = {}): Promise<LoadedEngine> {
  return loadEngineAt(BROWSER, source, options)
}

async function openText(text: string, signal: AbortSignal | undefined): Promise<OpenedModel> {
  const model = parseModelName(text)
  if (model?.kind === 'hub') return openHubModel(model, signal)
  const base = globalThis.location?.href
  if (!URL.canParse(text, base)) {
    throw new UsageError(`Expected the address of a model, got "${text}".`)
  }
  const url = new URL(text, base)
  // What is in memory has no neighbours that could be other parts of the model.
  if (!/^https?:$/.test(url.protocol)) return ofGguf(await openRangeSource(url, { signal }))
  const folder = urlFolder(url, (address) => openRangeSource(address, { signal }))
  return { file: await openGgufIn(folder, folder.file), tokenizerFiles: {} }
}

/** Of the hub nothing is kept: a browser's own cache may have what was read before. */
async function openHubModel(model: HubModel, signal?: AbortSignal): Promise<OpenedModel> {
  const [{ HubClient }, { USUAL_PACE }, { openRemoteModel }] = await Promise.all([
    import('../hub/download/hub-client.ts'),
    import('../hub/download/patience.ts'),
    import('../hub/remote-model.ts'),
  ])
  // Pages do not see where a redirect leads; there is no token that could be given away.
  const client = new HubClient({ endpoint: HUB, token: undefined }, USUAL_PACE, (url, init) =>
    fetch(url, { ...init, redirect: 'follow' }),
  )
  const options = { readsAll: true, ...(signal && { signal }) }
  return (await openRemoteModel(model, client, options)).opened
}

async function ofGguf(source: Parameters<typeof openGguf>[0]): Promise<OpenedModel> {
  return { file: await openGguf(source), tokenizerFiles: {} }
}
