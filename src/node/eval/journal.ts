/**
 * Finished items of an evaluation in a file, one JSON line each, so that a run that was killed goes on
 * where it was. The first line says which model and settings it belongs to; every other one ends in a
 * checksum. The last line may be cut off; that item, and any whose line is damaged, is computed again.
 */
import { createHash } from 'node:crypto'
import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isWhole, messageOf } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import type { EvalJournal } from '../../eval/evaluate.ts'
import type { ItemResult } from '../../eval/metrics.ts'
import type { SequenceScore } from '../../eval/score-groups.ts'
import { parseObject } from '../../formats/json-text.ts'
import { errorCode, makeFolder, namingFile } from '../files/system.ts'

/** The words of the first line that tell a journal from any other file. */
const KIND = 'bitnet evaluation journal 1'

/** How every entry ends. */
const LINE_END = /"check":"[\da-f]{16}"\}$/

/** Ten times what all tasks together leave behind. */
const MAX_BYTES = 256 << 20

/**
 * Opens a journal, or begins one.
 *
 * @param identity the model and the settings: what must be equal for results to be the same
 * @throws UsageError if the file is another journal's, or no journal at all
 */
export async function openJournal(path: string, identity: string): Promise<EvalJournal> {
  const named = (error: unknown): never => {
    throw namingFile(path, error)
  }
  const found = await stat(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
  // A pipe would be waited for, and what is larger is no journal.
  if (found && (!found.isFile() || found.size > MAX_BYTES)) throw foreign(path)
  const bytes = found === undefined ? Buffer.alloc(0) : await readFile(path)
  // What comes after the last line end was cut off when the run was killed.
  const kept = bytes.subarray(0, bytes.lastIndexOf(10) + 1)
  // An editor, or git, may have made them those of Windows.
  const [first = '', ...lines] = kept.toString('utf8').split(/\r?\n/)
  if (kept.length === 0) {
    if (bytes.length > 0 && !header(identity).startsWith(bytes.toString('utf8'))) {
      throw foreign(path)
    }
    await makeFolder(dirname(path))
    await writeFile(path, header(identity)).catch(named)
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
    async add(task, { index, scores }) {
      const entry = { task, index, scores: scores.map(encodeScore) }
      const line = `${JSON.stringify({ ...entry, check: checkOf(entry) })}\n`
      await appendFile(path, line).catch(named)
    },
  }
}

/**
 * The journal in the cache; undefined, and why, where there can be none: an evaluation needs no journal.
 *
 * @throws UsageError as {@link openJournal} does
 */
export async function openCacheJournal(
  path: string,
  identity: string,
): Promise<{ readonly journal?: EvalJournal; readonly reason?: string }> {
  try {
    return { journal: await openJournal(path, identity) }
  } catch (error) {
    if (error instanceof UsageError) throw error
    return { reason: messageOf(error) }
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

/** A number that was changed since would be as good as any other. */
function checkOf(entry: { task: string; index: number; scores: unknown }): string {
  return createHash('sha256').update(JSON.stringify(entry)).digest('hex').slice(0, 16)
}

/** The entry of a line; undefined for one that is damaged, whose item is then computed again. */
function readEntry(line: string): { task: string; result: ItemResult } | undefined {
  // JSON that is none takes many times as long as a look at where it ends.
  if (!LINE_END.test(line)) return
  const { task, index, scores, check } = parseObject(line) ?? {}
  if (typeof task !== 'string' || !isWhole(index) || !Array.isArray(scores)) return
  if (check !== checkOf({ task, index, scores }) || !scores.every(isScore)) return
  const decoded = scores.map(([logLikelihood, tokens, greedy]) => {
    return { logLikelihood, tokens, isGreedy: greedy === 1 }
  })
  return { task, result: { index, scores: decoded } }
}

function isScore(score: unknown): score is [number, number, number] {
  return Array.isArray(score) && score.length === 3 && score.every(Number.isFinite)
}
