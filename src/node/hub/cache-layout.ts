/**
 * Where things lie in the cache, in the layout of Hugging Face's own tools:
 *
 *   models--owner--name/refs/main                      the commit that "main" was
 *   models--owner--name/blobs/<hash>                   contents
 *   models--owner--name/snapshots/<commit>/<file>  ->  ../../blobs/<hash>
 *   .locks/models--owner--name/<hash>.bitnet.lock
 *
 * Files of other servers have a folder of ours beside these:
 *
 *   bitnet-urls/<hash of the address>/source.json, <file>
 */
import { createHash } from 'node:crypto'
import { copyFile, readlink, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { isCommit, isSafePath, type Repository } from '../../hub/repo-file.ts'
import { fileOf, partUrls } from '../../hub/url-folder.ts'
import { errorCode, makeFolder, textOf } from '../files/system.ts'
import { writeAside, writeWhole } from '../files/write-file.ts'

const MODEL_PREFIX = 'models--'
export const URL_FOLDER = 'bitnet-urls'

export function repoFolder(cache: string, { type, repo }: Repository): string {
  return join(cache, `${type}--${repo.replace('/', '--')}`)
}

/** "owner/name" of a folder in the cache; undefined for what is no model. */
export function repoOfFolder(folder: string): string | undefined {
  const name = basename(folder)
  if (!name.startsWith(MODEL_PREFIX)) return undefined
  return name.slice(MODEL_PREFIX.length).replace('--', '/')
}

/** @param folder the repository's */
export function blobPath(folder: string, hash: string): string {
  return join(folder, 'blobs', hash)
}

export function snapshotFolder(cache: string, repository: Repository, commit: string): string {
  return join(repoFolder(cache, repository), 'snapshots', commit)
}

export function lockPath(cache: string, folder: string, name: string): string {
  return join(cache, '.locks', folder, `${name}.bitnet.lock`)
}

/** The commit that a branch or tag was when it was last fetched. */
export async function readRef(
  cache: string,
  repository: Repository,
  revision: string,
): Promise<string | undefined> {
  if (isCommit(revision)) return revision
  const commit = (await textOf(refPath(cache, repository, revision))).trim()
  return isCommit(commit) ? commit : undefined
}

export async function writeRef(
  cache: string,
  repository: Repository,
  revision: string,
  commit: string,
): Promise<void> {
  if (isCommit(revision)) return
  if ((await readRef(cache, repository, revision)) === commit) return
  const path = refPath(cache, repository, revision)
  await makeFolder(dirname(path))
  await writeWhole(path, commit)
}

function refPath(cache: string, repository: Repository, revision: string): string {
  return join(repoFolder(cache, repository), 'refs', ...revision.split('/'))
}

/** Makes a file of a snapshot out of a blob: a link, or a copy where links are refused. */
export async function linkBlob(snapshot: string, file: string, blob: string): Promise<void> {
  if (!isSafePath(file)) throw new Error(`"${file}" must have been refused before.`)
  const path = join(snapshot, ...file.split('/'))
  const target = relative(dirname(path), blob)
  // A reader must not miss it for a moment if it is right already.
  if ((await readlink(path).catch(() => undefined)) === target) return
  await makeFolder(dirname(path))
  await rm(path, { force: true })
  try {
    await symlink(target, path)
  } catch (error) {
    const code = errorCode(error)
    // Another process has just done the same.
    if (code === 'EEXIST') return
    if (code !== 'EPERM' && code !== 'ENOSYS' && code !== 'ENOTSUP' && code !== 'EACCES')
      throw error
    await writeAside(path, (_, aside) => copyFile(blob, aside))
  }
}

/**
 * The folder of a plain address, and the path of its file in it; all parts of a model that was split lie
 * in one folder, whichever of them is named.
 */
export function urlPlace(cache: string, url: string) {
  const urls = partUrls(new URL(url))
  const key = createHash('sha256').update(urls[0].href).digest('hex').slice(0, 40)
  const folder = join(cache, URL_FOLDER, key)
  // The ending tells the format; the name is for people.
  const names = urls.map((one) => {
    const name = fileOf(one)
    return isSafePath(name) && name !== SOURCE_FILE ? name : 'model.gguf'
  })
  const parts = urls.map(({ href }, i) => ({
    url: href,
    name: names[i],
    path: join(folder, names[i]),
  }))
  return { folder, path: parts[0].path, paths: parts.map(({ path }) => path), parts }
}

export const SOURCE_FILE = 'source.json'
