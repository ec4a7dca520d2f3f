/**
 * Where the items of tasks come from: a folder of files, or the Hugging Face hub, whose
 * `refs/convert/parquet` branch has every public dataset in the same form.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FormatError, UsageError } from '../../errors.ts'
import type { DatasetRow, EvalTask, HubDataset, LoadedTask, TaskItem } from '../../eval/task.ts'
import { tasksNamed } from '../../eval/tasks/all-tasks.ts'
import { isRepoName } from '../../hub/model-name.ts'
import { isSafePath } from '../../hub/repo-file.ts'
import { fileSize } from '../files/system.ts'
import { decodeText } from '../files/text-encoding.ts'
import { datasetEndings, readDatasetFile } from './dataset-file.ts'

/** Where a task's items come from; what is left out stays as the task has it. */
export type DatasetChoice = Pick<HubDataset, 'repo'> & Partial<HubDataset>

/** Fetches one file of a dataset's repository, or finds it in the cache. */
export type FetchDatasetFile = (
  repo: string,
  revision: string,
  path: string,
  signal: AbortSignal | undefined,
) => Promise<string>

export interface DatasetOptions {
  /** A folder with the datasets' files. Unset: the hub. */
  readonly dataDir?: string | undefined
  /** The dataset on the hub, if it is not the task's own. */
  readonly dataset?: DatasetChoice | undefined
  /** Whether solved examples are needed. */
  readonly examples: boolean
  readonly fetchFile: FetchDatasetFile
  readonly signal?: AbortSignal | undefined
}

const PARQUET_BRANCH = 'refs/convert/parquet'
/** Parts of a path on the hub. */
const PART = /^\w[\w. -]{0,95}$/

/**
 * @throws UsageError if the folder lacks the file
 * @throws FormatError if a file is damaged or not what it should be
 */
export async function loadTask(task: EvalTask, options: DatasetOptions): Promise<LoadedTask> {
  const { dataDir } = options
  if (dataDir !== undefined) {
    const path = await findFile(dataDir, task)
    const rows = await completed(task, await readDatasetFile(path, task, options.signal), dataDir)
    return { task, items: itemsOf(task, rows, path) }
  }
  const hub: HubDataset = { ...task.hub, ...options.dataset }
  const items = await hubItems(task, hub, hub.split, options)
  if (!options.examples || hub.exampleSplit === undefined) return { task, items }
  return { task, items, examples: await hubItems(task, hub, hub.exampleSplit, options) }
}

async function hubItems(
  task: EvalTask,
  { repo, config }: HubDataset,
  split: string,
  { fetchFile, signal }: DatasetOptions,
): Promise<TaskItem[]> {
  // All of these splits are small enough for one file.
  const path = await fetchFile(repo, PARQUET_BRANCH, `${config}/${split}/0000.parquet`, signal)
  return itemsOf(task, await readDatasetFile(path, task, signal), path)
}

async function findFile(folder: string, task: EvalTask): Promise<string> {
  const names = task.files.flatMap((name) => datasetEndings(task).map((ending) => name + ending))
  for (const name of names) {
    const path = join(folder, name)
    if ((await fileSize(path)) !== undefined) return path
  }
  throw new UsageError(
    `Expected a file for ${task.name} in ${folder}, such as ${task.files[0]}.jsonl or ` +
      `${task.files[0]}.parquet, found none.`,
  )
}

/** Rows with the field that has a file of its own, where they lack it. */
async function completed(
  { separateField }: EvalTask,
  rows: readonly DatasetRow[],
  folder: string,
): Promise<readonly DatasetRow[]> {
  if (separateField === undefined) return rows
  const { field, file } = separateField
  if (rows.every((row) => field in row)) return rows
  const path = join(folder, file)
  const values = decodeText(await readFile(path), path)
    .trim()
    .split(/\s+/)
  if (values.length !== rows.length) {
    throw new FormatError(
      `Expected ${rows.length} ${field}s in ${path}, one for each item, got ${values.length}.`,
      { field: `${field}s`, path },
    )
  }
  return rows.map((row, i) => ({ ...row, [field]: values[i] }))
}

function itemsOf(task: EvalTask, rows: readonly DatasetRow[], path: string): TaskItem[] {
  if (rows.length === 0) {
    throw new FormatError(`Expected items of ${task.name} in ${path}, found none.`, {
      field: 'rows',
      path,
    })
  }
  return rows.map((row, i) => {
    try {
      return task.parse(row)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      throw new FormatError(`${error.message} It is item ${i + 1} of ${path}.`, {
        field: error.field,
        path,
        cause: error,
      })
    }
  })
}

/**
 * Reads which dataset a task is read from if not the usual one, as people write it:
 * `TASK=owner/name[:config[:split]]`. Datasets move between repositories; that should be no dead end.
 *
 * @returns the task's name and its dataset
 * @throws UsageError for another form, or a task that there is not
 */
export function parseDatasetChoice(text: string): readonly [task: string, DatasetChoice] {
  const [, task = '', rest = ''] = /^([^=]*)=(.*)$/.exec(text) ?? []
  const [repo, config, split, ...more] = rest.split(':')
  const parts = [config, split].filter((part) => part !== undefined)
  const isLegal =
    isRepoName(repo) &&
    isSafePath(repo) &&
    parts.every((part) => PART.test(part) && isSafePath(part)) &&
    more.length === 0
  if (!isLegal) {
    throw new UsageError(
      'Expected TASK=owner/name, with :config or :config:split behind it if they are not the ' +
        `usual ones, got "${text}".`,
    )
  }
  const [{ name }, ...others] = tasksNamed([task])
  if (others.length > 0) {
    throw new UsageError(`Expected the name of one task before "=", got the group "${task}".`)
  }
  const choice = {
    repo,
    ...(config === undefined ? {} : { config }),
    ...(split === undefined ? {} : { split }),
  }
  return [name, choice]
}
