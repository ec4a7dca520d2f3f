/**
 * What has to be computed to score some sequences that begin alike, such as a question with each of its
 * answers: their common beginning is run once and stays in the cache, later sequences rewrite what
 * comes after it. A row whose next token differs between sequences is asked for all of them at once, so
 * that answers of one token cost no row of their own.
 */

/** Tokens of which those from `firstTarget` on are scored, each by what comes before it. */
export interface TokenSequence {
  readonly tokens: readonly number[]
  /** At least 1: the first token has nothing before it. */
  readonly firstTarget: number
}

/** A token to be scored by the logits of a step's row. */
export interface Want {
  /** Counted from the step's first row. */
  readonly row: number
  readonly token: number
  /** Place of the sequence that it belongs to. */
  readonly sequence: number
}

/** Rows of one slot that follow each other, from a position that the cache has reached. */
export interface ScoreStep {
  readonly from: number
  readonly tokens: readonly number[]
  /** In the order of rows. */
  readonly wants: readonly Want[]
}

/** @returns the steps in the order to run them; a sequence without rows of its own has none */
export function planSteps(sequences: readonly TokenSequence[]): ScoreStep[] {
  const steps: { from: number; tokens: readonly number[]; wants: Want[] }[] = []
  /** The tokens in the cache by position, and the step that computed each. */
  let cached: readonly number[] = []
  let owners: (typeof steps)[number][] = []
  for (const [sequence, { tokens, firstTarget }] of sequences.entries()) {
    if (firstTarget < 1) throw new Error('The first token of a sequence cannot be scored.')
    // No row is needed for the last token: nothing comes after it.
    const needed = tokens.slice(0, -1)
    const from = commonLength(cached, needed)
    if (from < needed.length) {
      const step = { from, tokens: needed.slice(from), wants: [] }
      steps.push(step)
      cached = needed
      owners = [...owners.slice(0, from), ...step.tokens.map(() => step)]
    }
    for (let target = firstTarget; target < tokens.length; target++) {
      const owner = owners[target - 1]
      owner.wants.push({ row: target - 1 - owner.from, token: tokens[target], sequence })
    }
  }
  for (const { wants } of steps) wants.sort((a, b) => a.row - b.row)
  return steps
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  const limit = Math.min(a.length, b.length)
  let length = 0
  while (length < limit && a[length] === b[length]) length++
  return length
}

/** Rows of all steps. */
export function rowsOf(steps: readonly ScoreStep[]): number {
  return steps.reduce((sum, { tokens }) => sum + tokens.length, 0)
}

/** Positions that the steps reach. */
export function positionsOf(steps: readonly ScoreStep[]): number {
  return steps.reduce((most, { from, tokens }) => Math.max(most, from + tokens.length), 0)
}
