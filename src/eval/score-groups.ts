/**
 * Runs score plans side by side, each group of sequences in a slot of one cache: every pass is filled
 * with the next rows of all slots, and a slot that is done takes the next group. What a sequence is
 * given does not depend on its neighbours.
 */
import type { KvCache, ScoreTargets } from '../model/engine.ts'
import { planSteps, positionsOf, rowsOf, type ScoreStep, type TokenSequence } from './score-plan.ts'
import type { ScoringModel } from './scoring-model.ts'

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

interface PlannedGroup<K> {
  readonly key: K
  readonly steps: readonly ScoreStep[]
  readonly scores: { logLikelihood: number; tokens: number; isGreedy: boolean }[]
  /** The next row: of which step, and which of its rows. */
  step: number
  row: number
}

/**
 * Scores all groups; each is handed to `onGroup` once.
 *
 * @throws the signal's reason
 */
export async function scoreGroups<K>(
  model: ScoringModel,
  groups: readonly ScoreGroup<K>[],
  options: ScoreOptions<K>,
): Promise<void> {
  const planned = groups.map(({ key, sequences }): PlannedGroup<K> => {
    const scores = sequences.map(() => ({ logLikelihood: 0, tokens: 0, isGreedy: true }))
    return { key, steps: planSteps(sequences), scores, step: 0, row: 0 }
  })
  const total = planned.reduce((sum, { steps }) => sum + rowsOf(steps), 0)
  // Long ones first: what is left for the end is short, and few slots run empty.
  planned.sort((a, b) => positionsOf(b.steps) - positionsOf(a.steps))
  let done = 0
  while (planned.length > 0) {
    // Shorter groups need less of the cache each, so that more of them fit.
    const capacity = Math.max(1, positionsOf(planned[0].steps))
    const slots = slotsFor(model, capacity, planned.length)
    const isLast = slots === Math.min(MAX_SLOTS, planned.length)
    const share = isLast ? planned.length : Math.min(planned.length, slots * 8)
    const cache = model.engine.createCache({ slots, capacity: Math.ceil(capacity / 16) * 16 })
    try {
      const batch = new SlotRun(model, cache, planned.splice(0, share), options)
      await batch.run((rows) => {
        done += rows
        options.onRows?.(done, total)
      })
    } finally {
      cache.dispose()
    }
  }
}

function slotsFor({ cacheBytesPerToken }: ScoringModel, capacity: number, groups: number): number {
  const fitting = Math.floor(CACHE_BYTES / (cacheBytesPerToken * capacity))
  return Math.max(1, Math.min(MAX_SLOTS, fitting, groups))
}

class SlotRun<K> {
  readonly #model: ScoringModel
  readonly #cache: KvCache
  readonly #waiting: PlannedGroup<K>[]
  readonly #options: ScoreOptions<K>
  /** By slot; undefined once there is nothing left for it. */
  readonly #running: (PlannedGroup<K> | undefined)[]
  readonly #maxLogitRows: number
  /** The slot that is served first, so that each has its turn when a pass is full. */
  #first = 0

  constructor(
    model: ScoringModel,
    cache: KvCache,
    groups: PlannedGroup<K>[],
    options: ScoreOptions<K>,
  ) {
    this.#model = model
    this.#cache = cache
    this.#waiting = groups.reverse()
    this.#options = options
    this.#running = Array.from({ length: cache.slots })
    const rowBytes = model.engine.config.vocabSize * 4
    this.#maxLogitRows = Math.max(1, Math.min(model.engine.maxRows, LOGIT_BYTES / rowBytes) | 0)
  }

  async run(onRows: (rows: number) => void): Promise<void> {
    const { engine } = this.#model
    for (;;) {
      for (let slot = 0; slot < this.#cache.slots; slot++) await this.#refill(slot)
      const pass = this.#nextPass()
      const rows = pass.batch.tokens.length
      if (rows === 0) return
      await this.#model.exclusively(this.#options.signal, async () => {
        if (pass.targets.tokens.length === 0) {
          await engine.forward(this.#cache, pass.batch)
          return
        }
        const { logProbs, isBest } = await engine.score(this.#cache, pass.batch, pass.targets)
        for (const [i, score] of pass.scores.entries()) {
          score.logLikelihood += logProbs[i]
          score.tokens++
          if (isBest[i] === 0) score.isGreedy = false
        }
      })
      onRows(rows)
    }
  }

  /** Hands out a finished group and puts a waiting one into its slot. */
  async #refill(slot: number): Promise<void> {
    let group = this.#running[slot]
    while (group === undefined || group.step === group.steps.length) {
      if (group !== undefined) await this.#options.onGroup(group.key, group.scores)
      group = this.#waiting.pop()
      this.#running[slot] = group
      if (group === undefined) return
    }
  }

  #nextPass() {
    const { maxRows } = this.#model.engine
    const batch = { tokens: [] as number[], slots: [] as number[], positions: [] as number[] }
    const logitRows: number[] = []
    const targets = { rows: [] as number[], tokens: [] as number[] } satisfies ScoreTargets
    const scores: PlannedGroup<K>['scores'] = []
    const { slots } = this.#cache
    for (let i = 0; i < slots; i++) {
      const slot = (this.#first + i) % slots
      const group = this.#running[slot]
      if (group === undefined) continue
      const { from, tokens, wants } = group.steps[group.step]
      let next = wants.findIndex(({ row }) => row >= group.row)
      while (group.row < tokens.length && batch.tokens.length < maxRows) {
        const isWanted = next >= 0 && wants[next]?.row === group.row
        if (isWanted && logitRows.length === this.#maxLogitRows) break
        if (isWanted) logitRows.push(batch.tokens.length)
        for (; next >= 0 && wants[next]?.row === group.row; next++) {
          targets.rows.push(logitRows.length - 1)
          targets.tokens.push(wants[next].token)
          scores.push(group.scores[wants[next].sequence])
        }
        batch.tokens.push(tokens[group.row])
        batch.slots.push(slot)
        batch.positions.push(from + group.row)
        group.row++
      }
      if (group.row === tokens.length) {
        group.step++
        group.row = 0
      }
    }
    this.#first = (this.#first + 1) % slots
    return { batch: { ...batch, logitRows }, targets, scores }
  }
}
