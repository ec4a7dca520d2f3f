/**
 * Finds a named model in the cache, without asking any server: the path to open, or undefined if it is
 * not there as a whole.
 */
import { join } from 'node:path'
import { ModelNotFoundError } from '../../errors.ts'
import { parseObject } from '../../formats/json-text.ts'
import { type ChosenFiles, chooseFiles, withShards } from '../../hub/choose-files.ts'
import type { HubModel, UrlModel } from '../../hub/model-name.ts'
import { fileSize, filesBelow, textOf } from '../files/system.ts'
import { readRef, snapshotFolder, urlPlace } from './cache-layout.ts'

export async function findCached(
  cache: string,
  model: HubModel | UrlModel,
): Promise<string | undefined> {
  if (model.kind === 'url') {
    const { path, paths } = urlPlace(cache, model.url)
    for (const part of paths) if ((await fileSize(part)) === undefined) return undefined
    return path
  }
  const repository = { type: 'models', repo: model.repo } as const
  const commit = await readRef(cache, repository, model.revision ?? 'main')
  if (commit === undefined) return undefined
  const folder = snapshotFolder(cache, repository, commit)
  const files = await listFiles(folder)
  if (files.length === 0) return undefined
  try {
    const chosen = chooseFiles(files, model.repo, model.file)
    if (chosen.index === undefined) return openPath(folder, chosen)
    // The index tells which files belong together; a list of what is there cannot.
    const index = parseObject(await textOf(join(folder, chosen.index)))
    return openPath(folder, withShards(chosen, index, files, model.repo))
  } catch (error) {
    // Another tool fetched a part of the repository that is no model.
    if (error instanceof ModelNotFoundError) return undefined
    throw error
  }
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
