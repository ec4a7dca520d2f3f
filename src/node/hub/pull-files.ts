/**
 * Brings files of a repository into the cache: fetches what is missing, and links all into a snapshot.
 * Models and datasets are its two uses.
 */
import { basename } from 'node:path'
import { downloadFile } from '../../hub/download/download-file.ts'
import { unfinishedNames } from '../../hub/download/piece-journal.ts'
import type { DownloadStore } from '../../hub/download/store.ts'
import { TransferMeter } from '../../hub/download/transfer-meter.ts'
import { type RepoFile, type Repository, repoPath, resolvePath } from '../../hub/repo-file.ts'
import { statOf } from '../files/system.ts'
import {
  blobPath,
  linkBlob,
  lockPath,
  repoFolder,
  snapshotFolder,
  writeRef,
} from './cache-layout.ts'
import { diskStore, USUAL_TUNING } from './disk-store.ts'
import type { HubSettings } from './hub-settings.ts'
import { NodeClient } from './node-client.ts'
import { fileEvents, type PulledFile, type PullOptions } from './pull-report.ts'

export interface FilesToPull {
  readonly repository: Repository
  readonly revision: string
  /** What the revision is now. */
  readonly commit: string
  /** In the order in which they are fetched. */
  readonly files: readonly RepoFile[]
}

interface PulledFiles {
  /** The folder in which the files now are, under their paths. */
  readonly snapshot: string
  readonly files: readonly PulledFile[]
  readonly totalBytes: number
  /** Over the network, this time. */
  readonly fetchedBytes: number
}

/**
 * @throws RefusedError | DownloadError, BitnetError with code DISK_FULL, or the signal's reason; what
 *   came is kept
 */
export async function pullFiles(
  client: NodeClient,
  { repository, revision, commit, files }: FilesToPull,
  { tuning = USUAL_TUNING, ...options }: PullOptions,
): Promise<PulledFiles> {
  const { cacheFolder: cache, endpoint } = client.settings
  const folder = repoFolder(cache, repository)
  const store = diskStore(tuning)
  const around = { client, store, tuning, signal: options.signal }
  await checkTotalSpace(files, folder, store)
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0)
  const meter = new TransferMeter(totalBytes)
  const snapshot = snapshotFolder(cache, repository, commit)
  const pulled: PulledFile[] = []
  for (const { path, size, hash } of files) {
    const blob = blobPath(folder, hash.hex)
    const wanted = {
      url: endpoint + resolvePath(repoPath(repository), commit, path),
      target: blob,
      lockName: lockPath(cache, basename(folder), hash.hex),
      size,
      hash,
    }
    const fetched = await downloadFile(wanted, fileEvents(path, meter, options), around)
    await linkBlob(snapshot, path, blob)
    pulled.push({ path, bytes: size, fetched })
  }
  // Last, so that a name leads to a snapshot only when that is whole.
  await writeRef(cache, repository, revision, commit)
  return { snapshot, files: pulled, totalBytes, fetchedBytes: meter.fetchedBytes }
}

/** Runs what asks a hub; `explain` puts its refusals in plain words, and connections closed at the end. */
export async function withClient<T>(
  settings: HubSettings,
  { tuning = USUAL_TUNING }: PullOptions,
  explain: (error: unknown) => unknown,
  ask: (client: NodeClient) => Promise<T>,
): Promise<T> {
  const client = new NodeClient(settings, tuning.pace)
  try {
    return await ask(client)
  } catch (error) {
    throw explain(error)
  } finally {
    await client.close()
  }
}

/** Before the first of several files, not after ten of twelve. */
async function checkTotalSpace(
  files: readonly RepoFile[],
  folder: string,
  store: DownloadStore,
): Promise<void> {
  let needed = 0
  for (const { size, hash } of files) {
    const blob = blobPath(folder, hash.hex)
    for (const path of [blob, unfinishedNames(blob).data]) {
      needed -= Math.min(size, 512 * ((await statOf(path))?.blocks ?? 0))
    }
    needed += size
  }
  await store.requireSpace(folder, needed)
}
