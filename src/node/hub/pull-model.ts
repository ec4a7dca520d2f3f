/**
 * Brings a named model into the cache: asks the hub which commit a revision is and what files it has,
 * chooses those that make a model, fetches what is missing, and links them into a snapshot.
 */
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { ModelNotFoundError } from '../../errors.ts'
import { chooseFiles } from '../../hub/choose-files.ts'
import { explainRefusal, explainStatus } from '../../hub/explain-answer.ts'
import { formatModelName, type HubModel, type UrlModel } from '../../hub/model-name.ts'
import { type RepoFile, resolvePath } from '../../hub/repo-file.ts'
import { TransferMeter } from '../../hub/transfer-meter.ts'
import {
  blobPath,
  linkBlob,
  lockPath,
  repoFolder,
  snapshotFolder,
  writeRef,
} from './cache-layout.ts'
import { openPath } from './cached-model.ts'
import { type DownloadTuning, downloadFile, requireSpace, USUAL_TUNING } from './download-file.ts'
import { HubClient, RefusedError } from './hub-client.ts'
import type { HubSettings } from './hub-settings.ts'
import { listRepository } from './list-repository.ts'
import { fileEvents, type PulledFile, type PulledModel, type PullOptions } from './pull-report.ts'
import { pullUrl } from './pull-url.ts'

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
  const client = new HubClient(settings, (options.tuning ?? USUAL_TUNING).pace)
  try {
    if (model.kind === 'url') return await pullUrl(client, model, options)
    return await pullRepository(client, model, options)
  } catch (error) {
    throw inPlainWords(error, model, settings)
  } finally {
    await client.close()
  }
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
  client: HubClient,
  model: HubModel,
  options: PullOptions,
): Promise<PulledModel> {
  const { cacheFolder: cache, endpoint } = client.settings
  const { repo, revision = 'main' } = model
  const { commit, files: listed } = await listRepository(client, model, options.signal)
  const chosen = chooseFiles(listed, repo, model.file)
  const files = listed
    .filter(({ path }) => chosen.paths.includes(path))
    .sort((a, b) => chosen.paths.indexOf(a.path) - chosen.paths.indexOf(b.path))
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0)
  const name = formatModelName(model)
  options.onChosen?.({ model: name, reason: chosen.reason, files: files.length, totalBytes })

  const tuning = options.tuning ?? USUAL_TUNING
  await checkTotalSpace(files, cache, repo, tuning)
  const meter = new TransferMeter(totalBytes)
  const snapshot = snapshotFolder(cache, repo, commit)
  const pulled: PulledFile[] = []
  for (const file of files) {
    const blob = blobPath(cache, repo, file.hash.hex)
    const wanted = {
      url: endpoint + resolvePath(repo, commit, file.path),
      target: blob,
      lockPath: lockPath(cache, basename(repoFolder(cache, repo)), file.hash.hex),
      size: file.size,
      hash: file.hash,
    }
    const events = fileEvents(file.path, meter, options)
    const fetched = await downloadFile(client, wanted, events, tuning, options.signal)
    await linkBlob(snapshot, file.path, blob)
    pulled.push({ path: file.path, bytes: file.size, fetched })
  }
  // Last, so that a name leads to a snapshot only when that is whole.
  await writeRef(cache, repo, revision, commit)
  return {
    model: name,
    path: openPath(snapshot, chosen),
    revision: commit,
    reason: chosen.reason,
    files: pulled,
    totalBytes,
    fetchedBytes: meter.fetchedBytes,
  }
}

/** Before the first of several files, not after ten of twelve. */
async function checkTotalSpace(
  files: readonly RepoFile[],
  cache: string,
  repo: string,
  tuning: DownloadTuning,
): Promise<void> {
  let needed = 0
  for (const { size, hash } of files) {
    const blob = blobPath(cache, repo, hash.hex)
    for (const path of [blob, `${blob}.bitnet.incomplete`]) {
      const found = await stat(path).catch(() => undefined)
      needed -= Math.min(size, found === undefined ? 0 : found.blocks * 512)
    }
    needed += size
  }
  await requireSpace(repoFolder(cache, repo), needed, tuning)
}
