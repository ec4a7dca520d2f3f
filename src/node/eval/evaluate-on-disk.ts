/**
 * Evaluation by the names of tasks: fetches or reads the datasets and runs them one after the other.
 */
import {
  DEFAULT_EVAL_SETTINGS,
  type EvalSettings,
  evaluateTask,
  TASK_RUN_OPTIONS,
  type TaskRunOptions,
} from '../../eval/evaluate.ts'
import type { TaskMetrics } from '../../eval/metrics.ts'
import { evalTaskNames, tasksNamed } from '../../eval/tasks/all-tasks.ts'
import type { LanguageModel } from '../../generate/language-model.ts'
import {
  checkOptions,
  FUNCTION,
  fail,
  type OptionRules,
  optionsOf,
  TEXT,
} from '../../option-checks.ts'
import { type DatasetChoice, type FetchDatasetFile, loadTask } from './datasets.ts'

export interface EvaluateOptions extends TaskRunOptions {
  /** A folder with the datasets' files. Unset: the Hugging Face hub, cached. */
  readonly dataDir?: string | undefined
  /** Datasets on the hub that are not the tasks' own, by the tasks' names. */
  readonly datasets?: Readonly<Record<string, DatasetChoice>> | undefined
  /** Called before a task's dataset is read or fetched. */
  readonly onTask?: ((task: string) => void) | undefined
  /** How files of datasets are fetched. Unset: from the hub. */
  readonly fetchFile?: FetchDatasetFile | undefined
}

const DATASET = {
  repo: TEXT,
  config: TEXT,
  split: TEXT,
  exampleSplit: TEXT,
} satisfies OptionRules<DatasetChoice>

const EVALUATE_OPTIONS: OptionRules<EvaluateOptions> = {
  ...TASK_RUN_OPTIONS,
  dataDir: { ...TEXT, also: ['data_path', 'dataset_dir', 'folder'] },
  datasets: optionsOf(Object.fromEntries(evalTaskNames.map((name) => [name, optionsOf(DATASET)]))),
  onTask: FUNCTION,
  fetchFile: FUNCTION,
}

export interface EvaluationReport {
  /** By the tasks' names, in the order asked for. */
  readonly results: Readonly<Record<string, TaskMetrics>>
  readonly model: { readonly name: string; readonly backend: string }
  readonly config: EvalSettings & {
    readonly limit: number | null
    readonly dataDir: string | null
    /** Those that are not the tasks' own. */
    readonly datasets: Readonly<Record<string, DatasetChoice>>
  }
}

/**
 * Evaluates a model on tasks, e.g. `['arc_easy', 'boolq']`, or a group: `bitnet7`, `all`.
 *
 * Prompts and rules are those of the evaluation harness (docs/evaluation.md).
 *
 * @throws UsageError | FormatError | ContextOverflowError, or the signal's reason
 *
 * @example
 * const { results } = await evaluate(model, ['arc_easy'], { dataDir: 'datasets' })
 * console.log(results['arc_easy'].acc)
 */
export async function evaluate(
  model: LanguageModel,
  taskNames: readonly string[],
  options: EvaluateOptions = {},
): Promise<EvaluationReport> {
  checkOptions('evaluate', options, EVALUATE_OPTIONS)
  if (!Array.isArray(taskNames)) fail('taskNames', 'a list of names', taskNames)
  const settings = { ...DEFAULT_EVAL_SETTINGS, ...options.settings }
  const { dataDir, datasets = {}, signal, fetchFile = fetchFromHub } = options
  const results: Record<string, TaskMetrics> = {}
  for (const task of tasksNamed(taskNames)) {
    options.onTask?.(task.name)
    const examples = settings.numFewshot > 0
    const loaded = await loadTask(task, {
      ...{ dataDir, dataset: datasets[task.name], examples, fetchFile, signal },
    })
    results[task.name] = await evaluateTask(model, loaded, options)
  }
  return {
    results,
    model: { name: model.name, backend: model.backend.description },
    config: { ...settings, limit: options.limit ?? null, dataDir: dataDir ?? null, datasets },
  }
}

/** Imported when it is needed: the package's entry must not load what speaks HTTP. */
const fetchFromHub: FetchDatasetFile = async (...file) =>
  (await import('./dataset-hub.ts')).fetchDatasetFile(...file)
