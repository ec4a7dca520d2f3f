/**
 * Opens a named model where it is, at the hub or on another server: headers, and the small files beside
 * a checkpoint, are read with range requests; weights only as far as somebody reads them. Browsers load
 * models of the hub so, and `bitnet inspect` looks at them.
 */

import { ModelNotFoundError } from '../errors.ts'
import { isGgufName } from '../formats/gguf/index.ts'
import type { ByteSource, OpenedModel } from '../formats/model-file.ts'
import {
  checkSideFileSize,
  type ModelFolder,
  openGgufIn,
  openModelFolder,
  openShardIn,
} from '../formats/model-folder.ts'
import type { ChosenFiles } from './choose-files.ts'
import { type HubAccess, type HubClient, RefusedError, readBounded } from './download/hub-client.ts'
import { explainRefusal, explainStatus } from './explain-answer.ts'
import { listModel } from './list-repository.ts'
import { formatModelName, type HubModel, type UrlModel } from './model-name.ts'
import { openRangeSource, RANGE_BYTES, type RangeFetch } from './range-source.ts'
import { resolvePath } from './repo-file.ts'
import { partUrls, urlFolder } from './url-folder.ts'

/** What is fetched of a model, and why. */
export interface ModelChoice {
  readonly model: string
  readonly reason: string
  readonly files: number
  readonly totalBytes: number
}

/** What a server tells about a model. */
export interface RemoteFacts extends ModelChoice {
  /** The commit; null for an address. */
  readonly revision: string | null
  /** As the hub states it; null where it does not. */
  readonly licence: string | null
  /** Whether its owners hand it out to those who accepted their terms only. */
  readonly gated: boolean
}

export interface RemoteModel {
  readonly opened: OpenedModel
  readonly facts: RemoteFacts
  /** Bytes of files that were read so far. */
  readonly readBytes: () => number
}

/** A header is read from its start, and twice as much each time; a block is its first piece. */
const BLOCK_BYTES = 1 << 20
const WHOLE = ' It seems to send whole files only: fetch it with bitnet pull.'

/**
 * @param readsAll whether weights will be read too: then in larger pieces, the next one ahead
 * @throws ModelNotFoundError | DownloadError | FormatError, or the signal's reason
 */
export async function openRemoteModel(
  model: HubModel | UrlModel,
  client: HubClient,
  { signal, readsAll = false }: { readonly signal?: AbortSignal; readonly readsAll?: boolean } = {},
): Promise<RemoteModel> {
  let readBytes = 0
  const open: Open = (url, blockBytes = readsAll ? RANGE_BYTES : BLOCK_BYTES) => {
    // Requests of the client's, tried again; a server that sends a whole model instead is not heard out.
    const fetch: RangeFetch = async ({ href }, init) => {
      try {
        return await client.persist(href, init.signal, async () => {
          const { response } = await client.request(href, init.signal, init.headers)
          const { status } = response
          const body = await readBounded(response, href, blockBytes, status === 200 ? WHOLE : '')
          readBytes += body.length
          return new Response(body, { status, headers: new Headers([...response.headers]) })
        })
      } catch (error) {
        throw inPlainWords(error, model, client.access)
      }
    }
    return openRangeSource(new URL(url), { fetch, blockBytes, readAhead: readsAll, signal })
  }
  try {
    const { opened, facts } =
      model.kind === 'url'
        ? await openAddress(model, open)
        : await openRepository(client, model, open, signal)
    return { opened, facts, readBytes: () => readBytes }
  } catch (error) {
    throw inPlainWords(error, model, client.access)
  }
}

/** Turns a refusal into a message for people; leaves other errors alone. */
export function inPlainWords(
  error: unknown,
  model: HubModel | UrlModel,
  { endpoint, token }: HubAccess,
): unknown {
  if (!(error instanceof RefusedError)) return error
  if (model.kind === 'url') return explainStatus(error.refusal)
  return explainRefusal(error.refusal, model, endpoint, token !== undefined)
}

type Open = (url: string, blockBytes?: number) => Promise<ByteSource>
type Opened = Pick<RemoteModel, 'opened' | 'facts'>

async function openAddress({ url }: UrlModel, open: Open): Promise<Opened> {
  if (new URL(url).pathname.endsWith('.safetensors')) {
    throw new ModelNotFoundError(
      `Expected the address of a .gguf file, or of a repository at the hub, got ${url}. A ` +
        'safetensors file needs config.json beside it; fetch both into a folder and name that.',
      { source: url },
    )
  }
  let totalBytes = 0
  const folder = urlFolder(new URL(url), async ({ href }) => {
    const source = await open(href)
    totalBytes += source.size
    return source
  })
  const file = await openGgufIn(folder, folder.file)
  const facts = {
    model: url,
    reason: 'the file at this address',
    files: partUrls(new URL(url)).length,
    totalBytes,
    revision: null,
    licence: null,
    gated: false,
  }
  return { opened: { file, tokenizerFiles: {} }, facts }
}

async function openRepository(
  client: HubClient,
  model: HubModel,
  open: Open,
  signal: AbortSignal | undefined,
): Promise<Opened> {
  const listed = await listModel(client, model, signal)
  const { chosen, files, commit, totalBytes, licence = null, gated } = listed
  const facts = {
    model: formatModelName(model),
    reason: chosen.reason,
    files: files.length,
    totalBytes,
    revision: commit,
    licence,
    gated,
  }
  const urlOf = (path: string): string =>
    client.access.endpoint + resolvePath(model.repo, commit, path)
  const tree: FileTree = {
    name: model.repo,
    pathOf: urlOf,
    open: (path) => open(urlOf(path)),
    read: async (path) => {
      const found = files.find((file) => file.path === path)
      return found === undefined ? undefined : readWhole(urlOf(path), found.size, open)
    },
  }
  return { opened: await openInTree(tree, chosen), facts }
}

/** Files of a repository by their paths in it, wherever they are; otherwise as in a {@link ModelFolder}. */
export type FileTree = Omit<ModelFolder, 'list'>

/**
 * Opens a model whose files are known.
 *
 * @param main the file to open; unset: the folder as a whole
 */
export async function openInTree(
  tree: FileTree,
  { paths, main }: Pick<ChosenFiles, 'paths' | 'main'>,
): Promise<OpenedModel> {
  const prefix = main === undefined ? '' : main.slice(0, main.lastIndexOf('/') + 1)
  const folder: ModelFolder = {
    name: tree.name,
    list: async () => paths.map((path) => path.slice(prefix.length)),
    pathOf: (file) => tree.pathOf(prefix + file),
    open: (file) => tree.open(prefix + file),
    read: (file) => tree.read(prefix + file),
  }
  if (main === undefined) return openModelFolder(folder)
  const file = main.slice(prefix.length)
  if (!isGgufName(file)) return openShardIn(folder, file)
  return { file: await openGgufIn(folder, file), tokenizerFiles: {} }
}

async function readWhole(url: string, size: number, open: Open): Promise<Uint8Array> {
  checkSideFileSize(url, size)
  if (size === 0) return new Uint8Array(0)
  const source = await open(url, size)
  try {
    return await source.read(0, size)
  } finally {
    await source.close()
  }
}
