/**
 * What the cache holds, and taking it out again: models of the hub, whoever fetched them, and files of
 * other servers.
 */
import { readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { parseObject } from '../../formats/json-text.ts'
import { hasContent, hashOfBlobName } from '../../hub/download/content-check.ts'
import { fileSize, filesBelow, namesIn, statOf, textOf } from '../files/system.ts'
import { repoOfFolder, SOURCE_FILE, URL_FOLDER } from './cache-layout.ts'
import { diskStore } from './disk-store.ts'

export interface CachedRevision {
  readonly commit: string
  /** Branches and tags that lead to it. */
  readonly refs: readonly string[]
  readonly files: readonly string[]
}

export interface CachedModel {
  /** "owner/name", or the address of a file. */
  readonly name: string
  readonly folder: string
  readonly revisions: readonly CachedRevision[]
  /** On the disk, unfinished downloads included. */
  readonly bytes: number
  /** Bytes of unfinished downloads among them. */
  readonly unfinishedBytes: number
  readonly lastUsed: Date
}

export interface CheckedBlob {
  readonly model: string
  readonly path: string
  readonly bytes: number
  /** `unknown`: its name is no hash, so nothing tells what it should be. */
  readonly state: 'right' | 'wrong' | 'unknown'
}

/** All models in the cache, by name. */
export async function listCache(cache: string): Promise<CachedModel[]> {
  const found: CachedModel[] = []
  for (const name of await namesIn(cache)) {
    const folder = join(cache, name)
    const repo = repoOfFolder(folder)
    if (repo !== undefined) found.push(await describeRepo(folder, repo))
  }
  for (const name of await namesIn(join(cache, URL_FOLDER))) {
    const folder = join(cache, URL_FOLDER, name)
    found.push({ name: await addressOf(folder), folder, revisions: [], ...(await sizes(folder)) })
  }
  // A fetch that failed at its start leaves folders, and nothing in them.
  const models = found.filter(({ bytes, revisions }) => bytes > 0 || revisions.length > 0)
  return models.sort((a, b) => a.name.localeCompare(b.name, 'en'))
}

/** Removes a model with everything that was fetched of it, and its locks. */
export async function removeCached(cache: string, model: CachedModel): Promise<void> {
  const isUrl = model.revisions.length === 0 && repoOfFolder(model.folder) === undefined
  const all = { recursive: true, force: true }
  if (!isUrl) await rm(join(cache, '.locks', basename(model.folder)), all)
  await rm(model.folder, all)
}

/** Hashes a model's contents again; a wrong one is named, not removed. */
export async function* verifyCached(
  model: CachedModel,
  options: { readonly onBytes?: (count: number) => void; readonly signal?: AbortSignal } = {},
): AsyncGenerator<CheckedBlob> {
  const folder = join(model.folder, 'blobs')
  const store = diskStore()
  for (const name of await namesIn(folder)) {
    const path = join(folder, name)
    const bytes = await fileSize(path)
    if (bytes === undefined || isUnfinished(name)) continue
    const hash = hashOfBlobName(name)
    const isRight = hash === undefined ? undefined : await hasContent(store, path, hash, options)
    const state = isRight === undefined ? 'unknown' : isRight ? 'right' : 'wrong'
    yield { model: model.name, path, bytes, state }
  }
}

async function describeRepo(folder: string, name: string): Promise<CachedModel> {
  const refsByCommit = new Map<string, string[]>()
  for (const ref of await filesBelow(join(folder, 'refs'))) {
    const commit = (await textOf(join(folder, 'refs', ref))).trim()
    refsByCommit.set(commit, [...(refsByCommit.get(commit) ?? []), ref])
  }
  const revisions: CachedRevision[] = []
  for (const commit of await namesIn(join(folder, 'snapshots'))) {
    const files = await filesBelow(join(folder, 'snapshots', commit))
    revisions.push({ commit, refs: refsByCommit.get(commit) ?? [], files: files.sort() })
  }
  const found = await sizes(folder)
  // Contents that no revision leads to yet are of a fetch that has not come to its end.
  const unfinishedBytes = revisions.length === 0 ? found.bytes : found.unfinishedBytes
  return { name, folder, revisions, ...found, unfinishedBytes }
}

async function addressOf(folder: string): Promise<string> {
  const url = parseObject(await textOf(join(folder, SOURCE_FILE)))?.['url']
  return typeof url === 'string' ? url : `unfinished download ${basename(folder)}`
}

/** Links are not followed, so that a blob counts once. */
async function sizes(
  folder: string,
): Promise<Pick<CachedModel, 'bytes' | 'unfinishedBytes' | 'lastUsed'>> {
  let [bytes, unfinishedBytes, lastUsed] = [0, 0, 0]
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const facts = await statOf(join(entry.parentPath, entry.name))
    if (facts === undefined) continue
    // An unfinished file has holes; what it takes is what it has.
    const taken = isUnfinished(entry.name) ? Math.min(facts.size, facts.blocks * 512) : facts.size
    bytes += taken
    if (isUnfinished(entry.name)) unfinishedBytes += taken
    // Disks that do not keep times of reading give the time of writing.
    lastUsed = Math.max(lastUsed, facts.atimeMs, facts.mtimeMs)
  }
  return { bytes, unfinishedBytes, lastUsed: new Date(lastUsed) }
}

function isUnfinished(name: string): boolean {
  return /\.(incomplete|journal|part)$/.test(name)
}
