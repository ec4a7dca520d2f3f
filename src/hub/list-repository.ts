/**
 * Asks the hub which commit a revision is now, which files it has, and which of them make a model.
 */
import { DownloadError } from '../errors.ts'
import { chooseFiles, withShards } from './choose-files.ts'
import type { HubClient } from './download/hub-client.ts'
import type { HubModel } from './model-name.ts'
import {
  encodePath,
  nextPage,
  type RepoFile,
  type RepoRevision,
  type Repository,
  readRevision,
  readTree,
  resolvePath,
} from './repo-file.ts'

/** Of 1,000 entries; the largest model repositories have some hundred files. */
const MAX_PAGES = 40

/**
 * A model in its repository: the files that make it are in the order in which they were chosen.
 *
 * @throws ModelNotFoundError if nothing in it runs; RefusedError | DownloadError | FormatError
 */
export async function listModel(
  client: HubClient,
  { repo, revision = 'main', file }: HubModel,
  signal?: AbortSignal,
) {
  const repository = { type: 'models', repo } as const
  const found = await findRevision(client, repository, revision, signal)
  const listed = await listFiles(client, repository, found.commit, '', signal)
  const first = chooseFiles(listed, repo, file)
  const chosen =
    first.index === undefined
      ? first
      : withShards(
          first,
          await readIndex(client, repo, found.commit, first.index, signal),
          listed,
          repo,
        )
  const files = chosen.paths.flatMap((path) => listed.find((file) => file.path === path) ?? [])
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0)
  return { ...found, repository, chosen, files, totalBytes }
}

async function readIndex(
  client: HubClient,
  repo: string,
  commit: string,
  index: string,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const url = client.access.endpoint + resolvePath(repo, commit, index)
  return (await client.json(url, signal)).value
}

/** @throws RefusedError | DownloadError | FormatError */
export async function findRevision(
  client: HubClient,
  repository: Repository,
  revision: string,
  signal?: AbortSignal,
): Promise<RepoRevision> {
  const url = `${apiUrl(client, repository)}/revision/${encodeURIComponent(revision)}`
  return readRevision((await client.json(url, signal)).value, url)
}

/**
 * @param folder whose files are wanted; empty: all of the repository
 * @throws RefusedError | DownloadError | FormatError
 */
export async function listFiles(
  client: HubClient,
  repository: Repository,
  commit: string,
  folder: string,
  signal?: AbortSignal,
): Promise<RepoFile[]> {
  const files: RepoFile[] = []
  const below = folder === '' ? '?recursive=true' : `/${encodePath(folder)}`
  const tree = `${apiUrl(client, repository)}/tree/${commit}${below}`
  let page: string | undefined = tree
  for (let pages = 0; page !== undefined; pages++) {
    const { value, link } = await client.json(page, signal)
    files.push(...readTree(value, page))
    const next = nextPage(link)
    page = next === undefined ? undefined : samePlace(next, tree)
    if (page !== undefined && pages + 1 >= MAX_PAGES) {
      throw new DownloadError(
        `Expected the file list of ${repository.repo} to end after ${MAX_PAGES} pages, but there ` +
          'are more.',
        { url: tree },
      )
    }
  }
  return files
}

function apiUrl(client: HubClient, { type, repo }: Repository): string {
  return `${client.access.endpoint}/api/${type}/${repo}`
}

/** A next page is a page of the same list, whatever the header says. */
function samePlace(next: string, tree: string): string {
  const [from, to] = [new URL(tree), URL.canParse(next, tree) ? new URL(next, tree) : undefined]
  if (to !== undefined && to.origin === from.origin && to.pathname === from.pathname) return to.href
  throw new DownloadError(
    `Expected the next page of ${tree} at the same place, got "${next.slice(0, 100)}".`,
    { url: tree },
  )
}
