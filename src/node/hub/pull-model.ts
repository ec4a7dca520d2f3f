/**
 * Brings a named model into the cache: asks the hub which files make it, and fetches them; or fetches one
 * file of any server.
 */
import { mkdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { DownloadError, ModelNotFoundError } from '../../errors.ts'
import { downloadFile } from '../../hub/download/download-file.ts'
import { ContentChangedError, probeContent } from '../../hub/download/fetch-span.ts'
import { RefusedError } from '../../hub/download/hub-client.ts'
import type { ContentIdentity } from '../../hub/download/piece-journal.ts'
import { transferMeter } from '../../hub/download/transfer-meter.ts'
import { explainRefusal, explainStatus } from '../../hub/explain-answer.ts'
import { listModel } from '../../hub/list-repository.ts'
import { formatModelName, type HubModel, type UrlModel } from '../../hub/model-name.ts'
import { fileSize, textOf } from '../files/system.ts'
import { writeWhole } from '../files/write-file.ts'
import { lockPath, SOURCE_FILE, URL_FOLDER, urlPlace } from './cache-layout.ts'
import { openPath } from './cached-model.ts'
import { diskStore, USUAL_TUNING } from './disk-store.ts'
import type { HubSettings } from './hub-settings.ts'
import type { NodeClient } from './node-client.ts'
import { type PulledFiles, type PullOptions, pullFiles, withClient } from './pull-files.ts'

export interface PulledModel extends PulledFiles {
  readonly model: string
  /** What to open. */
  readonly path: string
  /** The commit; undefined for an address. */
  readonly revision: string | undefined
  readonly reason: string
}

/** Changes of a file in the middle of a download before that is final. */
const MAX_CHANGES = 3

/**
 * @throws ModelNotFoundError if there is no such repository, revision or file, or nothing in it runs
 * @throws DownloadError if the network or the hub refuses, BitnetError with code DISK_FULL if the disk
 *   does; what came is kept
 */
export async function pullModel(
  model: HubModel | UrlModel,
  settings: HubSettings,
  options: PullOptions = {},
): Promise<PulledModel> {
  if (settings.offline) throw notCached(model, settings)
  const explain = (error: unknown) => inPlainWords(error, model, settings)
  return withClient(settings, options, explain, (client) =>
    model.kind === 'url' ? pullUrl(client, model, options) : pullRepository(client, model, options),
  )
}

/** The error of a name that may not be asked for. */
export function notCached(model: HubModel | UrlModel, settings: HubSettings): ModelNotFoundError {
  const name = formatModelName(model)
  return new ModelNotFoundError(
    `Expected ${name} in the cache at ${settings.cacheFolder}, because HF_HUB_OFFLINE is set, but it ` +
      `is not there as a whole. Unset HF_HUB_OFFLINE and run "bitnet pull ${name}" once.`,
    { source: name },
  )
}

/** Turns a refusal into a message for people; leaves other errors alone. */
export function inPlainWords(
  error: unknown,
  model: HubModel | UrlModel,
  { endpoint, token }: HubSettings,
): unknown {
  if (!(error instanceof RefusedError)) return error
  if (model.kind === 'url') return explainStatus(error.refusal)
  return explainRefusal(error.refusal, model, endpoint, token !== undefined)
}

async function pullRepository(
  client: NodeClient,
  model: HubModel,
  options: PullOptions,
): Promise<PulledModel> {
  const listed = await listModel(client, model, options.signal)
  const { commit, chosen, files, totalBytes } = listed
  const { reason } = chosen
  const name = formatModelName(model)
  options.onChosen?.({ model: name, reason, files: files.length, totalBytes })
  const wanted = { ...listed, revision: model.revision ?? 'main' }
  const { snapshot, ...pulled } = await pullFiles(client, wanted, options)
  return { model: name, path: openPath(snapshot, chosen), revision: commit, reason, ...pulled }
}

/**
 * There is no hash to check a file of any server against: its size and the server's tag have to do, and
 * one that changes meanwhile is fetched anew.
 */
async function pullUrl(
  client: NodeClient,
  { url }: UrlModel,
  options: PullOptions,
): Promise<PulledModel> {
  const { signal, tuning = USUAL_TUNING, onDownload } = options
  const cache = client.access.cacheFolder
  const { folder, path, name } = urlPlace(cache, url)
  const around = { client, store: diskStore(tuning), tuning, signal }
  await mkdir(folder, { recursive: true })
  for (let changes = 0; ; changes++) {
    const identity = await probeContent(url, client, signal)
    const reason = `${name}: the file at this address`
    const { size, tag } = identity
    options.onChosen?.({ model: url, reason, files: 1, totalBytes: size })
    const meter = transferMeter(size, onDownload)
    // What was fetched earlier is replaced if the server has another version now.
    if (!(await isSame(folder, path, identity))) await rm(path, { force: true })
    const lockName = lockPath(cache, URL_FOLDER, basename(folder))
    const wanted = { url, target: path, lockName, ...identity }
    try {
      const fetched = await downloadFile(wanted, meter.events(name), around)
      await writeWhole(join(folder, SOURCE_FILE), JSON.stringify({ url, size, tag: tag ?? null }))
      return {
        model: url,
        path,
        revision: undefined,
        reason,
        files: [{ path: name, bytes: size, fetched }],
        totalBytes: size,
        fetchedBytes: meter.fetchedBytes(),
      }
    } catch (error) {
      if (!(error instanceof ContentChangedError)) throw error
      if (changes + 1 < MAX_CHANGES) continue
      throw new DownloadError(
        `Expected ${url} to stay the same while it is fetched, but it changed ${MAX_CHANGES} times. ` +
          'Fetch it when it is finished.',
        { url },
      )
    }
  }
}

async function isSame(folder: string, path: string, identity: ContentIdentity): Promise<boolean> {
  if ((await fileSize(path)) !== identity.size) return false
  const text = await textOf(join(folder, SOURCE_FILE))
  return text.includes(`"tag":${JSON.stringify(identity.tag ?? null)}}`)
}
