/**
 * Finds a named model in the cache, without asking any server: the path to open, or undefined if it is
 * not there as a whole.
 */
import { join } from 'node:path'
import { ModelNotFoundError } from '../../errors.ts'
import { type ChosenFiles, chooseFiles, SHARD_INDEX } from '../../hub/choose-files.ts'
import type { HubModel, UrlModel } from '../../hub/model-name.ts'
import { fileSize, filesBelow, textOf } from '../files/system.ts'
import { readRef, snapshotFolder, urlPlace } from './cache-layout.ts'

export async function findCached(
  cache: string,
  model: HubModel | UrlModel,
): Promise<string | undefined> {
  if (model.kind === 'url') {
    const { path } = urlPlace(cache, model.url)
    return (await fileSize(path)) === undefined ? undefined : path
  }
  const repository = { type: 'models', repo: model.repo } as const
  const commit = await readRef(cache, repository, model.revision ?? 'main')
  if (commit === undefined) return undefined
  const folder = snapshotFolder(cache, repository, commit)
  const files = await listFiles(folder)
  if (files.length === 0) return undefined
  let chosen: ChosenFiles
  try {
    chosen = chooseFiles(files, model.repo, model.file)
  } catch (error) {
    // Another tool fetched a part of the repository that is no model.
    if (error instanceof ModelNotFoundError) return undefined
    throw error
  }
  return (await hasAllShards(folder, chosen)) ? openPath(folder, chosen) : undefined
}

/** What to open of a snapshot: its one file, or the folder. */
export function openPath(folder: string, { main }: ChosenFiles): string {
  return main === undefined ? folder : join(folder, ...main.split('/'))
}

/** A link whose blob is gone is no file. */
async function listFiles(folder: string): Promise<{ path: string; size: number }[]> {
  const files: { path: string; size: number }[] = []
  for (const path of await filesBelow(folder)) {
    const size = await fileSize(join(folder, path))
    if (size !== undefined) files.push({ path, size })
  }
  return files
}

/** The index tells which files belong together; a list of what is there cannot. */
async function hasAllShards(folder: string, { paths }: ChosenFiles): Promise<boolean> {
  if (!paths.includes(SHARD_INDEX)) return true
  const text = await textOf(join(folder, SHARD_INDEX))
  const names = new Set(text.match(/[\w.-]+\.safetensors(?=")/g))
  return names.size > 0 && [...names].every((name) => paths.includes(name))
}
