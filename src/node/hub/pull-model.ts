/**
 * Brings a named model into the cache: asks the hub which files make it, and fetches them; or fetches one
 * file of any server.
 */

import { rm, rmdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isObject } from '../../checks.ts'
import { ModelNotFoundError } from '../../errors.ts'
import { parseObject } from '../../formats/json-text.ts'
import { fetchChanging, refuseForeign } from '../../hub/download/changing-file.ts'
import { downloadFile } from '../../hub/download/download-file.ts'
import { probeContent } from '../../hub/download/fetch-span.ts'
import type { ContentIdentity } from '../../hub/download/piece-journal.ts'
import { transferMeter } from '../../hub/download/transfer-meter.ts'
import { listModel } from '../../hub/list-repository.ts'
import { formatModelName, type HubModel, type UrlModel } from '../../hub/model-name.ts'
import { inPlainWords } from '../../hub/remote-model.ts'
import { openFileSource } from '../files/file-source.ts'
import { fileSize, makeFolder, textOf } from '../files/system.ts'
import { writeWhole } from '../files/write-file.ts'
import { lockPath, SOURCE_FILE, URL_FOLDER, urlPlace } from './cache-layout.ts'
import { findCached, openPath } from './cached-model.ts'
import { diskStore, requireCache, USUAL_TUNING } from './disk-store.ts'
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
  // What is there as a whole is told so, wherever it lies.
  const isCached = (await findCached(settings.cacheFolder, model)) !== undefined
  if (!isCached) await requireCache(settings.cacheFolder)
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

/** One file of any server, or all parts of a model that was split. */
async function pullUrl(
  client: NodeClient,
  { url }: UrlModel,
  options: PullOptions,
): Promise<PulledModel> {
  const { signal, tuning = USUAL_TUNING } = options
  const { folder, path, parts } = urlPlace(client.access.cacheFolder, url)
  const probed: ProbedFile[] = []
  for (const part of parts) {
    probed.push({ ...part, identity: await probeContent(part.url, client, signal) })
  }
  const totalBytes = probed.reduce((sum, { identity }) => sum + identity.size, 0)
  const reason = `${parts[0].name}: the file at this address`
  options.onChosen?.({ model: url, reason, files: parts.length, totalBytes })
  await makeFolder(folder)
  const meter = transferMeter(totalBytes, options.onDownload)
  const around = { client, store: diskStore(tuning), tuning, signal }
  const files: PulledFiles['files'][number][] = []
  for (const file of probed) {
    const lockName = lockPath(client.access.cacheFolder, URL_FOLDER, basename(folder))
    const place = { address: parts[0].url, folder, lockName }
    const fetched = await pullProbed(file, { ...place, meter, around })
    files.push({ path: file.name, bytes: file.identity.size, fetched })
  }
  const fetchedBytes = meter.fetchedBytes()
  return { model: url, path, revision: undefined, reason, files, totalBytes, fetchedBytes }
}

interface ProbedFile {
  readonly url: string
  readonly name: string
  readonly path: string
  /** What the server said of it last. */
  readonly identity: ContentIdentity
}

/**
 * Fetches it in place of what there may be of another version.
 *
 * @returns whether it was fetched
 */
function pullProbed(
  { url, name, path, identity: first }: ProbedFile,
  {
    address,
    folder,
    lockName,
    meter,
    around,
  }: {
    /** What the folder is of. */
    readonly address: string
    readonly folder: string
    readonly lockName: string
    readonly meter: ReturnType<typeof transferMeter>
    readonly around: Parameters<typeof downloadFile>[2]
  },
): Promise<boolean> {
  const pull = async (identity: ContentIdentity): Promise<boolean> => {
    const { size, tag } = identity
    // What was fetched earlier is replaced if the server has another version now.
    if (!(await isSame(folder, name, path, identity))) await rm(path, { force: true })
    const wanted = { url, target: path, lockName, ...identity }
    const fetched = await downloadFile(wanted, meter.events(name), around)
    await requireModel(url, path, folder)
    if (!fetched) return false
    const known = parseObject(await textOf(join(folder, SOURCE_FILE)))?.['files']
    const files = { ...(isObject(known) ? known : {}), [name]: { size, tag: tag ?? null } }
    await writeWhole(join(folder, SOURCE_FILE), JSON.stringify({ url: address, files }))
    return true
  }
  return fetchChanging(url, first, pull, around)
}

/** Takes away again what is no model. */
async function requireModel(url: string, path: string, folder: string): Promise<void> {
  const source = await openFileSource(path)
  try {
    await refuseForeign(url, path, source)
  } catch (error) {
    await rm(path)
    // Unless other parts of it are there.
    await rmdir(folder).catch(() => undefined)
    throw error
  } finally {
    await source.close()
  }
}

async function isSame(
  folder: string,
  name: string,
  path: string,
  { size, tag }: ContentIdentity,
): Promise<boolean> {
  if ((await fileSize(path)) !== size) return false
  const files = parseObject(await textOf(join(folder, SOURCE_FILE)))?.['files']
  const known = isObject(files) ? files[name] : undefined
  return isObject(known) && known['tag'] === (tag ?? null) && known['size'] === size
}
