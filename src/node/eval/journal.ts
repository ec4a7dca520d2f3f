/**
 * Finished items of an evaluation in a file, one JSON line each, so that a run that was killed goes on
 * where it was. The first line says which model and settings it belongs to; the last line may be cut
 * off and is then written again.
 */
import { appendFile, mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parseObject } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import type { EvalJournal } from '../../eval/evaluate.ts'
import type { ItemResult } from '../../eval/metrics.ts'
import type { SequenceScore } from '../../eval/score-groups.ts'

/** The words of the first line that tell a journal from any other file. */
const KIND = 'bitnet evaluation journal 1'

/**
 * Opens a journal, or begins one.
 *
 * @param identity the model and the settings: what must be equal for results to be the same
 * @throws UsageError if the file is another journal's, or no journal at all
 */
export async function openJournal(path: string, identity: string): Promise<EvalJournal> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0)
    throw error
  })
  // What comes after the last line end was cut off when the run was killed.
  const kept = bytes.subarray(0, bytes.lastIndexOf(10) + 1)
  const [first = '', ...lines] = kept.toString('utf8').split('\n')
  if (kept.length === 0) {
    if (bytes.length > 0 && !header(identity).startsWith(bytes.toString('utf8'))) {
      throw foreign(path)
    }
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, header(identity))
  } else {
    if (parseObject(first)?.['kind'] !== KIND) throw foreign(path)
    if (`${first}\n` !== header(identity)) {
      throw new UsageError(
        `Expected ${path} to belong to this model and these settings, but it was begun with ` +
          'others. Give another file to --resume, or remove this one.',
      )
    }
    if (kept.length < bytes.length) await truncate(path, kept.length)
  }
  const finished = new Map<string, Map<number, ItemResult>>()
  for (const line of lines) {
    const entry = readEntry(line)
    if (entry === undefined) continue
    const results = finished.get(entry.task) ?? new Map<number, ItemResult>()
    finished.set(entry.task, results.set(entry.result.index, entry.result))
  }
  return {
    finished: (task) => [...(finished.get(task)?.values() ?? [])],
    add: (task, { index, scores }) =>
      appendFile(path, `${JSON.stringify({ task, index, scores: scores.map(encodeScore) })}\n`),
  }
}

function header(identity: string): string {
  return `${JSON.stringify({ kind: KIND, identity })}\n`
}

function foreign(path: string): UsageError {
  return new UsageError(
    `Expected ${path} to be a journal of bitnet eval, or not to be there yet, got another file. ` +
      'Give another name to --resume.',
  )
}

function encodeScore({ logLikelihood, tokens, isGreedy }: SequenceScore): number[] {
  return [logLikelihood, tokens, isGreedy ? 1 : 0]
}

function readEntry(line: string): { task: string; result: ItemResult } | undefined {
  const entry = parseObject(line)
  const { task, index, scores } = entry ?? {}
  if (typeof task !== 'string' || !Number.isSafeInteger(index) || !Array.isArray(scores)) return
  const isScore = (score: unknown) =>
    Array.isArray(score) && score.length === 3 && score.every((value) => Number.isFinite(value))
  if (!scores.every(isScore)) return
  const result = {
    index: index as number,
    scores: scores.map(([logLikelihood, tokens, greedy]: [number, number, number]) => ({
      logLikelihood,
      tokens,
      isGreedy: greedy === 1,
    })),
  }
  return { task, result }
}
