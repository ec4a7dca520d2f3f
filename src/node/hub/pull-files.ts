/**
 * Brings files of a repository into the cache: fetches what is missing, and links all into a snapshot.
 * Models and datasets are its two uses.
 */
import { basename } from 'node:path'
import type { DownloadProgress } from '../../generate/load/load-options.ts'
import { downloadFile } from '../../hub/download/download-file.ts'
import { unfinishedNames } from '../../hub/download/piece-journal.ts'
import type { DownloadStore } from '../../hub/download/store.ts'
import { transferMeter } from '../../hub/download/transfer-meter.ts'
import type { ModelChoice } from '../../hub/remote-model.ts'
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
import { cacheError, type DiskTuning, diskStore, USUAL_TUNING } from './disk-store.ts'
import type { HubSettings } from './hub-settings.ts'
import { NodeClient } from './node-client.ts'

/** What a pull is told, and what it tells on the way. */
export interface PullOptions {
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined
  /** Told once it is clear what will be fetched, and why. */
  readonly onChosen?: ((choice: ModelChoice) => void) | undefined
  readonly signal?: AbortSignal | undefined
  /** For tests: waits, piece sizes, free space. */
  readonly tuning?: DiskTuning | undefined
}

export interface FilesToPull {
  readonly repository: Repository
  readonly revision: string
  /** What the revision is now. */
  readonly commit: string
  /** In the order in which they are fetched. */
  readonly files: readonly RepoFile[]
}

export interface PulledFiles {
  readonly files: readonly {
    readonly path: string
    readonly bytes: number
    /** False if it was in the cache already. */
    readonly fetched: boolean
  }[]
  readonly totalBytes: number
  /** Over the network, this time. */
  readonly fetchedBytes: number
}

/**
 * @returns with the folder in which the files now are, under their paths
 * @throws RefusedError | DownloadError, BitnetError with code DISK_FULL, or the signal's reason; what
 *   came is kept
 */
export async function pullFiles(
  client: NodeClient,
  { repository, revision, commit, files }: FilesToPull,
  { tuning = USUAL_TUNING, signal, onDownload }: PullOptions,
): Promise<PulledFiles & { readonly snapshot: string }> {
  const { cacheFolder: cache, endpoint } = client.access
  const folder = repoFolder(cache, repository)
  const store = diskStore(tuning)
  const around = { client, store, tuning, signal }
  await checkTotalSpace(files, folder, store)
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0)
  const meter = transferMeter(totalBytes, onDownload)
  const snapshot = snapshotFolder(cache, repository, commit)
  const pulled: PulledFiles['files'][number][] = []
  for (const { path, size, hash } of files) {
    const blob = blobPath(folder, hash.hex)
    const wanted = {
      url: endpoint + resolvePath(repoPath(repository), commit, path),
      target: blob,
      lockName: lockPath(cache, basename(folder), hash.hex),
      size,
      hash,
    }
    const fetched = await downloadFile(wanted, meter.events(path), around)
    pulled.push({ path, bytes: size, fetched })
  }
  // A part of a model is none, and would look like one in lists.
  for (const { path, hash } of files) await linkBlob(snapshot, path, blobPath(folder, hash.hex))
  // Last, so that a name leads to a snapshot only when that is whole.
  await writeRef(cache, repository, revision, commit)
  return { snapshot, files: pulled, totalBytes, fetchedBytes: meter.fetchedBytes() }
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
    throw explain(cacheError(error, settings.cacheFolder))
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
