/**
 * Asks the hub which commit a revision is now, and which files it has.
 */
import { DownloadError } from '../../errors.ts'
import type { HubModel } from '../../hub/model-name.ts'
import {
  nextPage,
  type RepoFile,
  type RepoRevision,
  readRevision,
  readTree,
} from '../../hub/repo-file.ts'
import type { HubClient } from './hub-client.ts'

/** Of 1,000 entries; the largest model repositories have some hundred files. */
const MAX_PAGES = 40

interface ListedRepository extends RepoRevision {
  readonly files: readonly RepoFile[]
}

/** @throws RefusedError | DownloadError | FormatError */
export async function listRepository(
  client: HubClient,
  { repo, revision = 'main' }: HubModel,
  signal?: AbortSignal,
): Promise<ListedRepository> {
  const { endpoint } = client.settings
  const info = `${endpoint}/api/models/${repo}/revision/${encodeURIComponent(revision)}`
  const found = readRevision((await client.json(info, signal)).value, info)
  const files: RepoFile[] = []
  const tree = `${endpoint}/api/models/${repo}/tree/${found.commit}?recursive=true`
  let page: string | undefined = tree
  for (let pages = 0; page !== undefined; pages++) {
    const { value, link } = await client.json(page, signal)
    files.push(...readTree(value, page))
    const next = nextPage(link)
    page = next === undefined ? undefined : samePlace(next, tree)
    if (page !== undefined && pages + 1 >= MAX_PAGES) {
      throw new DownloadError(
        `Expected the file list of ${repo} to end after ${MAX_PAGES} pages, but there are more.`,
        { url: tree },
      )
    }
  }
  return { ...found, files }
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
