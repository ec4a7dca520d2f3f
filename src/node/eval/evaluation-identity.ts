/**
 * What an evaluation's results depend on, in one text: the model's file, the backend with its instruction
 * set, the precisions and the settings. Journals are kept by it. Threads give the same bits everywhere and
 * do not count; that instruction sets do, too, is so for today's operations only.
 */
import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { EvalSettings } from '../../eval/evaluate.ts'
import { type LoadSettings, resultSettings } from '../../generate/load/load-options.ts'
import { cacheFolder } from '../files/folders.ts'
import { resolveModel } from '../resolve-model.ts'
import type { DatasetChoice } from './datasets.ts'

export interface EvaluationFacts {
  readonly settings: EvalSettings
  /** The one that runs. */
  readonly backend: { readonly name: string; readonly isa: string }
  /** How the model is loaded. */
  readonly loading: LoadSettings
  readonly dataDir?: string | undefined
  readonly datasets?: Readonly<Record<string, DatasetChoice>> | undefined
}

/** @throws ModelNotFoundError */
export async function evaluationIdentity(
  source: string | undefined,
  { settings, backend, loading, dataDir, datasets }: EvaluationFacts,
): Promise<string> {
  const path = resolve(await resolveModel(source))
  const found = await stat(path)
  const names = found.isDirectory() ? (await readdir(path)).sort() : []
  const files = await Promise.all(
    [path, ...names.map((name) => join(path, name))].map(async (file) => {
      const { size, mtimeMs } = await stat(file)
      return [file, size, mtimeMs]
    }),
  )
  const { name, isa } = backend
  const data = dataDir === undefined ? (datasets ?? 'hub') : resolve(dataDir)
  return createHash('sha256')
    .update(JSON.stringify([files, settings, name, isa, ...resultSettings(loading), data]))
    .digest('hex')
}

/** Where the journal of an evaluation is kept if nobody says: "eval" in the folder of caches. */
export function defaultJournalPath(identity: string): string {
  return join(cacheFolder(), 'eval', `${identity.slice(0, 32)}.jsonl`)
}
