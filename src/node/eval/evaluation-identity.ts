/**
 * What an evaluation's results depend on, in one text: the model's file, the precisions and the
 * settings. Journals are kept by it. Backends, threads and instruction sets give the same bits and do
 * not count.
 */
import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { EvalSettings } from '../../eval/evaluate.ts'
import { resolveModel } from '../resolve-model.ts'
import type { DatasetChoice } from './dataset-name.ts'

export interface EvaluationFacts {
  readonly settings: EvalSettings
  readonly head?: string | undefined
  readonly kv?: string | undefined
  readonly dataDir?: string | undefined
  readonly datasets?: Readonly<Record<string, DatasetChoice>> | undefined
}

/** @throws ModelNotFoundError */
export async function evaluationIdentity(
  source: string | undefined,
  { settings, head, kv, dataDir, datasets }: EvaluationFacts,
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
  const data = dataDir === undefined ? (datasets ?? 'hub') : resolve(dataDir)
  return createHash('sha256')
    .update(JSON.stringify([files, settings, head ?? 'auto', kv ?? 'f16', data]))
    .digest('hex')
}

/** Where the journal of an evaluation is kept if nobody says. */
export function defaultJournalPath(identity: string): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  return join(cache, 'bitnet', 'eval', `${identity.slice(0, 32)}.jsonl`)
}
