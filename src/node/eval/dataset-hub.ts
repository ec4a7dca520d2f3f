/**
 * Files of datasets from the Hugging Face hub, in the cache that its own tools use
 * (`datasets--owner--name`). What is cached is used without asking: test sets do not change, and results
 * should not either.
 */
import { dirname, join } from 'node:path'
import { DownloadError } from '../../errors.ts'
import { RefusedError } from '../../hub/download/hub-client.ts'
import { explainRefusal } from '../../hub/explain-answer.ts'
import { findRevision, listFiles } from '../../hub/list-repository.ts'
import { isSafePath } from '../../hub/repo-file.ts'
import type { Environment } from '../files/folders.ts'
import { fileSize } from '../files/system.ts'
import { readRef, snapshotFolder } from '../hub/cache-layout.ts'
import { requireCache } from '../hub/disk-store.ts'
import { readHubSettings } from '../hub/hub-settings.ts'
import { type PullOptions, pullFiles, withClient } from '../hub/pull-files.ts'

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
  surroundings: { env?: Environment; tuning?: PullOptions['tuning'] } = {},
): Promise<string> {
  if (!isSafePath(path)) throw new Error(`"${path}" is no path of a dataset's file.`)
  const settings = await readHubSettings(surroundings.env)
  const { cacheFolder: cache, endpoint, token } = settings
  const repository = { type: 'datasets', repo } as const
  const known = await readRef(cache, repository, revision)
  if (known !== undefined) {
    const cached = join(snapshotFolder(cache, repository, known), ...path.split('/'))
    if ((await fileSize(cached)) !== undefined) return cached
  }
  if (settings.offline) {
    throw new DownloadError(
      `Expected ${path} of the dataset ${repo} in the cache at ${cache}, because ` +
        'HF_HUB_OFFLINE is set, but it is not there. Unset it once, or give --data-dir.',
      { url: repo },
    )
  }
  await requireCache(cache)
  /** In plain words, with what to do if a dataset has moved. */
  const explain = (error: unknown): unknown => {
    if (!(error instanceof RefusedError)) return error
    const { refusal } = error
    const file = { kind: 'hub', repo, revision, file: path } as const
    const why = explainRefusal(refusal, file, `${endpoint}/datasets`, token !== undefined)
    const { url, status } = refusal
    const advice = status < 500 && status !== 429 ? ` ${OTHER_WAYS}` : ''
    return new DownloadError(`${why.message}${advice}`, { url, status, cause: why })
  }
  const options = { signal, tuning: surroundings.tuning }
  return withClient(settings, options, explain, async (client) => {
    const commit = known ?? (await findRevision(client, repository, revision, signal)).commit
    const listed = await listFiles(client, repository, commit, dirname(path), signal)
    const files = listed.filter((file) => file.path === path)
    if (files.length === 0) {
      throw new DownloadError(
        `Expected ${path} in the dataset ${repo}, but it is not in its list of files. ${OTHER_WAYS}`,
        { url: `${endpoint}/datasets/${repo}/tree/${commit}` },
      )
    }
    const wanted = { repository, revision, commit, files }
    const { snapshot } = await pullFiles(client, wanted, options)
    return join(snapshot, ...path.split('/'))
  })
}
