/**
 * Runs score plans side by side, each group of sequences in a slot of one cache: every pass is filled
 * with the next rows of all slots.
 */
import { checkFinite } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import { Runtime } from '../generate/schedule/runtime.ts'
import { type Placed, runByLength, type SlotWork } from '../generate/schedule/slots.ts'
import { inTurns } from '../generate/turns.ts'
import type { KvCache, ScoreTargets } from '../model/engine.ts'
import { PassRows } from '../model/pass-rows.ts'
import { planSteps, positionsOf, rowsOf, type ScoreStep, type TokenSequence } from './score-plan.ts'

/** What an evaluation needs of a model. */
export type ScoringModel = Pick<Runtime, 'engine' | 'tokenizer' | 'facts' | 'exclusively'>

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

/** Most sequences side by side: enough for short answers to fill a pass. */
const MAX_SLOTS = 64
/** Bytes of keys and values that evaluation takes at most, where one sequence fits into that. */
const CACHE_BYTES = 512 << 20
/** Bytes of logits in one pass. */
const LOGIT_BYTES = 64 << 20

interface PlannedGroup<K> extends SlotWork {
  readonly key: K
  readonly steps: readonly ScoreStep[]
  /** Positions that the steps reach. */
  readonly positions: number
  readonly scores: { logLikelihood: number; tokens: number; isGreedy: boolean }[]
  /** The next row: of which step, and which of its rows. */
  step: number
  row: number
  finished: boolean
}

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
  const plan = ({ key, sequences }: ScoreGroup<K>): PlannedGroup<K> => {
    const steps = planSteps(sequences)
    const scores = sequences.map(() => ({ logLikelihood: 0, tokens: 0, isGreedy: true }))
    const finished = steps.length === 0
    return { key, steps, positions: positionsOf(steps), scores, step: 0, row: 0, finished }
  }
  const planned = await inTurns(groups, plan, signal)
  const total = planned.reduce((sum, { steps }) => sum + rowsOf(steps), 0)
  const { engine, facts } = model
  const maxLogitRows = Math.max(1, Math.floor(LOGIT_BYTES / (engine.config.vocabSize * 4)))
  const limits = { slots: MAX_SLOTS, positions: CACHE_BYTES / facts.memory.cacheBytesPerToken }
  let done = 0
  const pass = async (cache: KvCache, live: readonly Placed<PlannedGroup<K>>[]): Promise<void> => {
    const { rows, targets, scores } = planPass(live, engine.maxRows, maxLogitRows)
    await model.exclusively(signal, async () => {
      if (scores.length === 0) {
        await engine.forward(cache, rows)
        return
      }
      const { logProbs, isBest } = await engine.score(cache, rows, targets)
      checkFinite('log-likelihoods', logProbs)
      for (const [i, score] of scores.entries()) {
        score.logLikelihood += logProbs[i]
        score.tokens++
        if (isBest[i] === 0) score.isGreedy = false
      }
    })
    done += rows.tokens.length
    onRows?.(done, total)
  }
  await runByLength(engine, planned, limits, pass, ({ key, scores }) => onGroup(key, scores))
}

/** The next rows of the groups, at most one step of each, and what their logits are asked for. */
function planPass<K>(
  live: readonly Placed<PlannedGroup<K>>[],
  maxRows: number,
  maxLogitRows: number,
) {
  const rows = new PassRows(maxRows)
  const targets = { rows: [] as number[], tokens: [] as number[] } satisfies ScoreTargets
  const scores: PlannedGroup<K>['scores'] = []
  for (const { slot, work: group } of live) {
    const { from, tokens, wants } = group.steps[group.step]
    let next = wants.findIndex(({ row }) => row >= group.row)
    while (group.row < tokens.length && rows.room > 0) {
      const isWanted = next >= 0 && wants[next]?.row === group.row
      if (isWanted && rows.logitRows.length === maxLogitRows) break
      rows.add(slot, from + group.row, tokens[group.row])
      if (isWanted) rows.want()
      for (; next >= 0 && wants[next]?.row === group.row; next++) {
        targets.rows.push(rows.logitRows.length - 1)
        targets.tokens.push(wants[next].token)
        scores.push(group.scores[wants[next].sequence])
      }
      group.row++
    }
    if (group.row === tokens.length) {
      group.step++
      group.row = 0
      group.finished = group.step === group.steps.length
    }
  }
  return { rows, targets, scores }
}
