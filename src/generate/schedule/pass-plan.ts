/**
 * Which rows the next pass has: one of every sequence that waits for its next token, with its guesses, then
 * as much of prompts as those can wait for.
 */
import type { PassResults, PassWants } from '../../model/engine.ts'
import { PassRows } from '../../model/pass-rows.ts'
import type { TokenDraw } from '../../model/token-draw.ts'
import { guessCost } from '../speculate/speculation.ts'
import { type Call, compareCalls } from './call.ts'
import { type Job, type JobResults, pendingOf } from './job.ts'

/** A job that holds memory. */
export interface Running {
  readonly job: Job
  readonly call: Call
  readonly slot: number
  /** The pass that it was in last. */
  lastPass: number
}

/** A job's part of a pass. */
export interface Share<R extends Running> {
  readonly running: R
  /** How many of its tokens are computed after the pass, guesses not counted. */
  readonly fed: number
  readonly rows: number
  /** How many entries of {@link PassWants} of its kind are its own, and how many targets. */
  readonly wanted: number
  readonly targets: number
}

export interface PassPlan<R extends Running> {
  readonly rows: PassRows
  readonly wants: PassWants
  readonly shares: readonly Share<R>[]
}

export interface PassLimits {
  readonly maxRows: number
  /** Most tokens that are drawn of each row before anybody looks. */
  readonly maxSteps: number
  /** Most rows whose tokens are scored: each takes a row of logits. */
  readonly maxScored: number
}

/** Most guesses in one pass of all sequences: each has a row of logits of its own. */
const MAX_GUESSES = 64

/**
 * Rows of prompts beside sequences that wait for their next token: so many, or so many for each of these.
 * Every row makes all of them wait.
 */
const PROMPT_ROWS = 16
const PROMPT_ROWS_EACH = 1 / 4

/** @returns undefined if no job is ready */
export function planPass<R extends Running>(
  running: readonly R[],
  limits: PassLimits,
): PassPlan<R> | undefined {
  const pass = new PassBuilder<R>(limits)
  const ready = running.filter(({ job }) => job.isReady)
  const waiting = ready.filter(({ job }) => pendingOf(job) === 1).sort(longestAgo)
  const cost = guessCost(ready.length)
  let room = Math.min(MAX_GUESSES, limits.maxRows - ready.length)
  for (const one of waiting) {
    one.job.guess?.(Math.max(0, room), cost)
    if (!one.job.isReady) continue // its guesses take their time
    room -= one.job.guesses?.length ?? 0
    pass.add(one, limits.maxRows)
  }
  const beside = Math.max(PROMPT_ROWS, Math.floor(PROMPT_ROWS_EACH * pass.shares.length))
  let left = pass.shares.length === 0 ? limits.maxRows : beside
  const prompts = ready.filter(({ job }) => pendingOf(job) > 1)
  for (const one of prompts.sort((a, b) => compareCalls(a.call, b.call) || longestAgo(a, b))) {
    if (one.job.isReady) left -= pass.add(one, left)
  }
  if (prompts.length === 0) pass.takeSteps()
  return pass.shares.length === 0 ? undefined : pass
}

function longestAgo(a: Running, b: Running): number {
  return a.lastPass - b.lastPass
}

class PassBuilder<R extends Running> implements PassPlan<R> {
  readonly rows: PassRows
  readonly shares: Share<R>[] = []
  readonly wants = {
    draws: {
      rows: [] as number[],
      each: [] as TokenDraw[],
      likeliest: undefined as number | undefined,
      steps: 1,
      goesOn: false,
    },
    scores: { rows: [] as number[], targets: [] as number[], tokens: [] as number[] },
    vectors: [] as number[],
  }
  readonly #limits: PassLimits

  constructor(limits: PassLimits) {
    this.#limits = limits
    this.rows = new PassRows(limits.maxRows)
  }

  /**
   * Adds the next tokens of a job, and its guesses behind the last one.
   *
   * @param most rows for tokens
   * @returns rows that were added
   */
  add(running: R, most: number): number {
    const { job, slot } = running
    const { rows } = this
    const guesses = job.guesses ?? []
    const from = rows.tokens.length
    const targetsBefore = this.wants.scores.tokens.length
    let wanted = 0
    let position = job.fed
    // A pass has the last token and all guesses behind it, or none of them.
    const end = Math.min(job.tokens.length, job.fed + Math.min(most, rows.room - guesses.length))
    for (; position < end; position++) {
      const isWanted = job.wants(position)
      if (isWanted && !this.#want(job, position)) break
      if (isWanted) wanted++
      rows.add(slot, position, job.tokens[position])
    }
    const isWhole = position === job.tokens.length
    if (isWhole) {
      for (const [i, guess] of guesses.entries()) {
        this.#draw(job, position + i)
        rows.add(slot, position + i, guess)
        wanted++
      }
    }
    const added = rows.tokens.length - from
    const targets = this.wants.scores.tokens.length - targetsBefore
    if (added > 0) this.shares.push({ running, fed: position, rows: added, wanted, targets })
    return added
  }

  /** Draws several tokens of each row, as many as all jobs allow. */
  takeSteps(): void {
    const each = this.shares.map(({ running: { job }, rows }) =>
      job.kind === 'draws' && rows === 1 ? (job.steps ?? 1) : 1,
    )
    const { draws } = this.wants
    draws.steps = Math.max(1, Math.min(this.#limits.maxSteps, ...each))
    draws.goesOn = draws.steps > 1 && each.every((count) => count >= 2 * draws.steps)
  }

  /** Asks for what a job wants of the row that comes next. @returns false if the pass has no room for it */
  #want(job: Job, position: number): boolean {
    const row = this.rows.tokens.length
    const { scores, vectors } = this.wants
    if (job.kind === 'draws') {
      this.#draw(job, position)
      return true
    }
    if (job.kind === 'vectors') {
      vectors.push(row)
      return true
    }
    if (scores.rows.length === this.#limits.maxScored) return false
    for (const token of job.targetsAt?.(position) ?? []) {
      scores.targets.push(scores.rows.length)
      scores.tokens.push(token)
    }
    scores.rows.push(row)
    return true
  }

  /** Asks for the token behind the row that comes next. */
  #draw(job: Job, position: number): void {
    const draw = job.drawAt?.(position)
    if (draw === undefined) throw new Error('A job of draws does not say how.')
    const { draws } = this.wants
    draws.rows.push(this.rows.tokens.length)
    draws.each.push(draw)
    if (job.likeliest !== undefined) {
      draws.likeliest = Math.max(draws.likeliest ?? 0, job.likeliest)
    }
  }
}

/** Hands each share what the pass gave for it. */
export function* resultsOf<R extends Running>(
  { shares, wants }: PassPlan<R>,
  { tokens, scores, vectors }: PassResults,
  { dim }: { readonly dim: number },
): Generator<readonly [Share<R>, JobResults]> {
  const { rows, steps = 1 } = wants.draws
  const at = { draws: 0, targets: 0, vectors: 0 }
  for (const share of shares) {
    const { kind } = share.running.job
    const drawsEnd = at.draws + (kind === 'draws' ? share.wanted : 0)
    const vectorsEnd = at.vectors + (kind === 'vectors' ? share.wanted : 0)
    const targetsEnd = at.targets + share.targets
    yield [
      share,
      {
        steps,
        tokens: {
          ids: drawnOf(tokens.ids, at.draws, drawsEnd, rows.length),
          ...(tokens.odds && { odds: tokens.odds.slice(at.draws, drawsEnd) }),
        },
        vectors: vectors.subarray(at.vectors * dim, vectorsEnd * dim),
        scores: {
          logProbs: scores.logProbs.subarray(at.targets, targetsEnd),
          isBest: scores.isBest.subarray(at.targets, targetsEnd),
        },
      },
    ]
    at.draws = drawsEnd
    at.vectors = vectorsEnd
    at.targets = targetsEnd
  }
}

/** The tokens of some of the rows, step by step. */
function drawnOf(ids: Int32Array, from: number, end: number, rows: number): Int32Array {
  if (ids.length <= rows) return ids.subarray(from, end)
  const own: number[] = []
  for (let step = 0; step < ids.length; step += rows) {
    own.push(...ids.subarray(step + from, step + end))
  }
  return Int32Array.from(own)
}
