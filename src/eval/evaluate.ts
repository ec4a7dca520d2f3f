/**
 * Runs tasks on a model: texts to tokens, tokens to log-likelihoods, log-likelihoods to a table. Where
 * items come from, and where finished ones are kept, is the caller's.
 */
import { isObject, isWhole } from '../checks.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import {
  COUNT,
  FUNCTION,
  type OptionRule,
  type OptionRules,
  oneOf,
  optionsOf,
  SIGNAL,
} from '../option-checks.ts'
import type { Steps } from '../steps.ts'
import { inTurns } from '../turns.ts'
import {
  BOS_RULES,
  type EncodingRules,
  encodeRequest,
  prefixToken,
  rollingWindows,
  TOKENIZATION_RULES,
} from './encode-request.ts'
import { checkExamples, type FewShotSettings, withExamples } from './few-shot.ts'
import { type ItemResult, metricsOf, predictionsOf, type TaskMetrics } from './metrics.ts'
import {
  type ScoreGroup,
  type ScoringModel,
  type SequenceScore,
  scoreGroups,
  withScoringModel,
} from './score-groups.ts'
import type { TokenSequence } from './score-plan.ts'
import type { EvalTask, LoadedTask, TaskItem } from './task.ts'

/** What changes results; journals are kept apart by it. */
export interface EvalSettings extends EncodingRules, FewShotSettings {}

/** Zero-shot, encoded as the harness does. */
export const DEFAULT_EVAL_SETTINGS: EvalSettings = {
  tokenization: 'harness',
  bos: 'auto',
  numFewshot: 0,
  seed: 1234,
}

/** How far an evaluation has come. */
export interface EvalProgress {
  readonly task: string
  /** Items finished, those of a journal included. */
  readonly items: number
  readonly totalItems: number
  /** Tokens computed for this task in this run, and those there are to compute. */
  readonly tokens: number
  readonly totalTokens: number
  readonly elapsedMs: number
}

/** Keeps finished items, so that a run that was stopped goes on where it was. */
export interface EvalJournal {
  /** What is finished of a task. */
  finished(task: string): readonly ItemResult[]
  /** Called once an item, before it counts as finished. */
  add(task: string, result: ItemResult): void | Promise<void>
}

/** One line of `--samples`. */
export interface EvalSample {
  readonly task: string
  readonly index: number
  readonly contexts: readonly string[]
  readonly continuations: readonly string[]
  readonly loglikelihood: readonly number[]
  readonly tokens: readonly number[]
  readonly greedy: readonly boolean[]
  readonly gold: number
  readonly prediction?: number
  readonly prediction_norm?: number
}

export interface TaskRunOptions {
  readonly settings?: Partial<EvalSettings>
  /** Only the first so many items. */
  readonly limit?: number | undefined
  readonly journal?: EvalJournal | undefined
  readonly onProgress?: ((progress: EvalProgress) => void) | undefined
  /** Called for every item in the order of the dataset, once the task is done. */
  readonly onSample?: ((sample: EvalSample) => void | Promise<void>) | undefined
  readonly signal?: AbortSignal | undefined
}

const JOURNAL: OptionRule = {
  expected: 'an object with finished and add',
  holds: (value) => isObject(value) && [value['finished'], value['add']].every(FUNCTION.holds),
}

export const TASK_RUN_OPTIONS: OptionRules<TaskRunOptions> = {
  settings: {
    ...optionsOf({
      tokenization: oneOf(TOKENIZATION_RULES),
      bos: { ...oneOf(BOS_RULES), also: ['add_bos', 'add_bos_token'] },
      numFewshot: { ...integer(), also: ['few_shot', 'n_shot', 'shots'] },
      seed: { ...integer(2 ** 32 - 1), also: ['fewshot_seed', 'random_seed'] },
    } satisfies OptionRules<EvalSettings>),
    also: ['tokenization', 'bos', 'num_fewshot', 'few_shot', 'seed'],
  },
  limit: { ...COUNT, also: ['num_samples', 'max_samples'] },
  journal: JOURNAL,
  onProgress: FUNCTION,
  onSample: FUNCTION,
  signal: SIGNAL,
}

function integer(max?: number): OptionRule {
  const range = max === undefined ? '>= 0' : `from 0 to ${max}`
  return { expected: `an integer ${range}`, holds: (value) => isWhole(value, 0, max) }
}

/**
 * Evaluates one task.
 *
 * @throws UsageError | ContextOverflowError, FormatError if an item has nothing to score, BackendError if a
 *   log-likelihood is not finite, or the signal's reason
 */
export async function evaluateTask(
  model: LanguageModel,
  loaded: LoadedTask,
  options: TaskRunOptions = {},
): Promise<TaskMetrics> {
  const { task, items } = loaded
  const settings = { ...DEFAULT_EVAL_SETTINGS, ...options.settings }
  const total = Math.min(items.length, options.limit ?? items.length)
  checkExamples(loaded, settings.numFewshot)
  const prompt = (index: number) => withExamples(loaded, index, settings)
  const results = new Map<number, ItemResult>()
  for (const result of options.journal?.finished(task.name) ?? []) {
    if (result.index < total && isResultOf(task, items[result.index], result)) {
      results.set(result.index, result)
    }
  }
  await withScoringModel(model, options.signal, async (scoring, signal) => {
    const left = Array.from({ length: total }, (_, index) => index).filter((i) => !results.has(i))
    const groups = await inTurns(
      left,
      (index) => groupOf(scoring, task, prompt(index), index, settings),
      signal,
    )
    const began = performance.now()
    const report = (tokens: number, totalTokens: number): void =>
      options.onProgress?.({
        task: task.name,
        items: results.size,
        totalItems: total,
        ...{ tokens, totalTokens },
        elapsedMs: performance.now() - began,
      })
    await scoreGroups(scoring, groups, {
      signal,
      async onGroup(index, scores) {
        const result = { index, scores: scores.map((score) => ({ ...score })) }
        await options.journal?.add(task.name, result)
        results.set(index, result)
      },
      onRows: report,
    })
  })
  const finished = [...results.values()].sort((a, b) => a.index - b.index)
  if (options.onSample !== undefined) {
    for (const result of finished) {
      await options.onSample(sampleOf(task, prompt(result.index), result))
    }
  }
  return metricsOf(task.kind, items, finished)
}

/** Whether a kept result can be this item's: one of another dataset, or a damaged one, is not used. */
function isResultOf(task: EvalTask, item: TaskItem, { scores }: ItemResult): boolean {
  const isWholeItem =
    task.kind === 'rolling' ? scores.length > 0 : scores.length === item.requests.length
  return (
    isWholeItem &&
    scores.every(
      ({ logLikelihood, tokens }) =>
        logLikelihood <= 0 && Number.isFinite(logLikelihood) && isWhole(tokens, 1),
    )
  )
}

function* groupOf(
  { tokenizer, contextLength }: ScoringModel,
  task: EvalTask,
  item: TaskItem,
  index: number,
  settings: EvalSettings,
): Steps<ScoreGroup<number>> {
  if (task.kind === 'rolling') {
    const ids = yield* tokenizer.encodeSteps(item.requests[0].continuation, { addBos: false })
    const sequences = rollingWindows([prefixToken(tokenizer), ...ids], contextLength, contextLength)
    return { key: index, sequences }
  }
  const sequences: TokenSequence[] = []
  for (const request of item.requests) {
    sequences.push(encodeRequest(tokenizer, request, settings, contextLength))
    yield
  }
  return { key: index, sequences }
}

function sampleOf(task: EvalTask, item: TaskItem, { index, scores }: ItemResult): EvalSample {
  const predictions = task.kind === 'choice' ? predictionsOf(item, scores) : undefined
  const column = <T>(of: (score: SequenceScore) => T): T[] => scores.map(of)
  return {
    task: task.name,
    index,
    contexts: item.requests.map(({ context }) => context),
    continuations: item.requests.map(({ continuation }) => continuation),
    loglikelihood: column((score) => score.logLikelihood),
    tokens: column((score) => score.tokens),
    greedy: column((score) => score.isGreedy),
    gold: item.gold,
    ...(predictions === undefined
      ? {}
      : { prediction: predictions.acc, prediction_norm: predictions.acc_norm }),
  }
}
