/**
 * Scores groups of sequences, each group as a job that runs its plan beside whatever else the model does.
 */
import { checkFinite } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import { BACKGROUND_PRIORITY } from '../generate/schedule/call.ts'
import type { Job, JobResults } from '../generate/schedule/job.ts'
import { Runtime } from '../generate/schedule/runtime.ts'
import type { Steps } from '../steps.ts'
import { inTurns } from '../turns.ts'
import { planSteps, positionsOf, rowsOf, type ScoreStep, type TokenSequence } from './score-plan.ts'

/** What an evaluation needs of a model. */
export type ScoringModel = Pick<
  Runtime,
  'engine' | 'tokenizer' | 'facts' | 'scheduler' | 'contextLength'
>

/**
 * Lends the engine of a model to `work`. Disposing of the model aborts it.
 *
 * @throws UsageError if the model was disposed or is not one of `loadModel`'s
 */
export async function withScoringModel<T>(
  model: LanguageModel,
  signal: AbortSignal | undefined,
  work: (scoring: ScoringModel, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const runtime = Runtime.of(model)
  if (runtime === undefined) {
    throw new UsageError('Expected a model that loadModel gave, got another object.')
  }
  runtime.assertUsable()
  signal?.throwIfAborted()
  return runtime.run(signal, (ended) => work(runtime, ended))
}

export interface SequenceScore {
  /** Sum of the natural logarithms of the scored tokens' probabilities. */
  readonly logLikelihood: number
  /** How many tokens were scored. */
  readonly tokens: number
  /** Whether greedy decoding would have given exactly these tokens. */
  readonly isGreedy: boolean
}

/** Sequences that are scored together because they begin alike. */
export interface ScoreGroup<K> {
  readonly key: K
  readonly sequences: readonly TokenSequence[]
}

export interface ScoreOptions<K> {
  readonly signal: AbortSignal
  /** Called for each group as it is done, in no fixed order; awaited. */
  readonly onGroup: (key: K, scores: readonly SequenceScore[]) => void | Promise<void>
  /** Called after each pass with the rows computed and the rows of all groups. */
  readonly onRows?: ((done: number, total: number) => void) | undefined
}

/** Most groups side by side: enough for short answers to fill a pass. */
const MAX_PARALLEL = 64

const NOTHING: readonly number[] = []

/**
 * Scores all groups; each is handed to `onGroup` once.
 *
 * @throws BackendError if a log-likelihood is not finite; the signal's reason
 */
export async function scoreGroups<K>(
  model: ScoringModel,
  groups: readonly ScoreGroup<K>[],
  { signal, onGroup, onRows }: ScoreOptions<K>,
): Promise<void> {
  function* plan({ key, sequences }: ScoreGroup<K>): Steps<ScoreJob<K>> {
    yield
    return new ScoreJob(key, sequences)
  }
  const jobs = await inTurns(groups, plan, signal)
  const total = jobs.reduce((sum, { rows }) => sum + rows, 0)
  let done = 0
  const onPass = () => {
    const before = done
    done = jobs.reduce((sum, { rowsDone }) => sum + rowsDone, 0)
    if (done > before) onRows?.(done, total)
  }
  // Long ones go first: what is left for the end is short, and few passes are nearly empty.
  const order = jobs.toSorted((a, b) => b.positions - a.positions)
  await model.scheduler.run(order, {
    signal,
    priority: BACKGROUND_PRIORITY,
    limit: MAX_PARALLEL,
    onDone: ({ key, scores }) => onGroup(key, scores),
    onPass,
  })
  signal.throwIfAborted()
}

/** Runs the steps of a group one after another, and adds up what its sequences are given. */
class ScoreJob<K> implements Job {
  readonly kind = 'scores'
  readonly key: K
  readonly scores: { logLikelihood: number; tokens: number; isGreedy: boolean }[]
  readonly positions: number
  /** Tokens that no step writes over, and of which nothing is wanted. */
  readonly fixed: number
  /** Rows of all steps. */
  readonly rows: number
  readonly isReady = true
  /** Of the step that runs, with what earlier steps left in front of it. */
  tokens: readonly number[] = []
  fed = 0
  readonly #steps: readonly ScoreStep[]
  #step = -1
  /** The tokens that rows of the step score, by position. */
  #targets = new Map<number, readonly number[]>()
  /** How many of the step's wants are scored. */
  #scored = 0
  /** Rows of the steps before this one. */
  #rowsBefore = 0

  constructor(key: K, sequences: readonly TokenSequence[]) {
    this.key = key
    this.scores = sequences.map(() => ({ logLikelihood: 0, tokens: 0, isGreedy: true }))
    this.#steps = planSteps(sequences)
    this.positions = positionsOf(this.#steps)
    this.rows = rowsOf(this.#steps)
    // The row of the first token that is scored may be computed again, as may what later steps put in place.
    const [first, ...others] = this.#steps
    const ends = [(first?.wants[0].row ?? 0) + 1, ...others.map(({ from }) => from)]
    this.fixed = Math.min(...ends)
    this.#nextStep()
  }

  get finished(): boolean {
    return this.#step === this.#steps.length
  }

  get rowsDone(): number {
    if (this.finished) return this.rows
    return this.#rowsBefore + Math.max(0, this.fed - this.#steps[this.#step].from)
  }

  /** Rows are computed once more where what they score is not known yet. */
  begin(cached: number): void {
    const { from, wants } = this.#steps[this.#step]
    this.fed = Math.min(cached, from + wants[this.#scored].row)
  }

  wants(position: number): boolean {
    return this.targetsAt(position).length > 0
  }

  targetsAt(position: number): readonly number[] {
    const { from, wants } = this.#steps[this.#step]
    if (position < from + wants[this.#scored].row) return NOTHING
    return this.#targets.get(position) ?? NOTHING
  }

  accept({ scores: { logProbs, isBest } }: JobResults): void {
    checkFinite('log-likelihoods', logProbs)
    const { wants } = this.#steps[this.#step]
    for (const [i, logProb] of logProbs.entries()) {
      const score = this.scores[wants[this.#scored++].sequence]
      score.logLikelihood += logProb
      score.tokens++
      if (isBest[i] === 0) score.isGreedy = false
    }
    if (this.fed === this.tokens.length) this.#nextStep()
  }

  #nextStep(): void {
    if (this.#step >= 0) this.#rowsBefore += this.#steps[this.#step].tokens.length
    this.#step++
    this.#scored = 0
    if (this.finished) return
    const { from, tokens, wants } = this.#steps[this.#step]
    this.tokens = [...this.tokens.slice(0, from), ...tokens]
    this.fed = from
    this.#targets = new Map()
    for (const { row, token } of wants) {
      const others = this.#targets.get(from + row) ?? []
      this.#targets.set(from + row, [...others, token])
    }
  }
}
