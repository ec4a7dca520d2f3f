/**
 * Files of datasets from the Hugging Face hub, in the cache that its own tools use
 * (`datasets--owner--name`). What is cached is used without asking: test sets do not change, and results
 * should not either.
 */
import { mkdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DownloadError } from '../../errors.ts'
import { explainRefusal, type Refusal } from '../../hub/explain-answer.ts'
import { isCommit, isSafePath, type RepoFile, readRevision, readTree } from '../../hub/repo-file.ts'
import { linkBlob, lockPath, writeWhole } from '../hub/cache-layout.ts'
import { type DownloadTuning, downloadFile, USUAL_TUNING } from '../hub/download-file.ts'
import { HubClient, RefusedError } from '../hub/hub-client.ts'
import { type Environment, type HubSettings, readHubSettings } from '../hub/hub-settings.ts'

const OTHER_WAYS =
  'If the dataset was moved or rearranged, name another one with --dataset ' +
  'TASK=owner/name:config:split, or fetch it yourself and give --data-dir.'

/**
 * The path of a dataset's file, fetched if it is not in the cache.
 *
 * @param revision a branch; what it was when it was first fetched stays
 * @throws DownloadError if the hub has no such file or cannot be reached; the signal's reason
 */
export async function fetchDatasetFile(
  repo: string,
  revision: string,
  path: string,
  signal?: AbortSignal,
  surroundings: { env?: Environment; tuning?: DownloadTuning } = {},
): Promise<string> {
  if (!isSafePath(path)) throw new Error(`"${path}" is no path of a dataset's file.`)
  const settings = await readHubSettings(surroundings.env)
  const name = `datasets--${repo.replace('/', '--')}`
  const folder = join(settings.cacheFolder, name)
  const ref = join(folder, 'refs', ...revision.split('/'))
  const known = (await readFile(ref, 'utf8').catch(() => '')).trim()
  if (isCommit(known)) {
    const cached = join(folder, 'snapshots', known, ...path.split('/'))
    if ((await stat(cached).catch(() => undefined))?.isFile()) return cached
  }
  if (settings.offline) {
    throw new DownloadError(
      `Expected ${path} of the dataset ${repo} in the cache at ${settings.cacheFolder}, because ` +
        'HF_HUB_OFFLINE is set, but it is not there. Unset it once, or give --data-dir.',
      { url: repo },
    )
  }
  const tuning = surroundings.tuning ?? USUAL_TUNING
  const client = new HubClient(settings, tuning.pace)
  try {
    const commit = isCommit(known) ? known : await commitOf(client, repo, revision, signal)
    const file = await findFile(client, repo, commit, path, signal)
    const blob = join(folder, 'blobs', file.hash.hex)
    const wanted = {
      url: `${settings.endpoint}/datasets/${repo}/resolve/${commit}/${encoded(path)}`,
      target: blob,
      lockPath: lockPath(settings.cacheFolder, name, file.hash.hex),
      size: file.size,
      hash: file.hash,
    }
    const events = { onBytes: () => undefined, onState: () => undefined }
    await downloadFile(client, wanted, events, tuning, signal)
    const snapshot = join(folder, 'snapshots', commit)
    await linkBlob(snapshot, path, blob)
    await mkdir(dirname(ref), { recursive: true })
    await writeWhole(ref, commit)
    return join(snapshot, ...path.split('/'))
  } catch (error) {
    throw error instanceof RefusedError
      ? explained(error.refusal, { repo, revision, file: path }, settings)
      : error
  } finally {
    await client.close()
  }
}

/** In plain words, with what to do if a dataset has moved. */
function explained(
  refusal: Refusal,
  dataset: { readonly repo: string; readonly revision: string; readonly file: string },
  { endpoint, token }: HubSettings,
): DownloadError {
  const place = `${endpoint}/datasets`
  const why = explainRefusal(refusal, { kind: 'hub', ...dataset }, place, token !== undefined)
  const { url, status } = refusal
  const advice = status < 500 && status !== 429 ? ` ${OTHER_WAYS}` : ''
  return new DownloadError(`${why.message}${advice}`, { url, status, cause: why })
}

function encoded(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

function api({ endpoint }: HubSettings, repo: string, rest: string): string {
  return `${endpoint}/api/datasets/${repo}/${rest}`
}

async function commitOf(
  client: HubClient,
  repo: string,
  revision: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const url = api(client.settings, repo, `revision/${encodeURIComponent(revision)}`)
  return readRevision((await client.json(url, signal)).value, url).commit
}

async function findFile(
  client: HubClient,
  repo: string,
  commit: string,
  path: string,
  signal: AbortSignal | undefined,
): Promise<RepoFile> {
  const url = api(client.settings, repo, `tree/${commit}/${encoded(dirname(path))}`)
  const files = readTree((await client.json(url, signal)).value, url)
  const file = files.find((one) => one.path === path)
  if (file !== undefined) return file
  throw new DownloadError(
    `Expected ${path} in the dataset ${repo}, but it is not in its list of files. ${OTHER_WAYS}`,
    { url },
  )
}
