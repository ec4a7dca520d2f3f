/**
 * Steps that were submitted before anybody asked for them, so that a device does not wait while JavaScript
 * reads what came before. If their sequences do not go on so, what was computed ahead lies behind their ends,
 * where it is overwritten before it is read.
 */
import type { RowBatch } from './engine.ts'
import type { DrawnTokens, TokenDraw } from './token-draw.ts'
import type { DrawShape } from './token-sampler.ts'

/** What is drawn of the first rows of logits. */
export interface WantedDraws {
  readonly each: readonly TokenDraw[]
  readonly shape: DrawShape
  /** Whether as many steps will most likely follow. */
  readonly goesOn: boolean
}

export interface StepsAhead {
  readonly batch: RowBatch
  readonly each: readonly TokenDraw[]
  readonly steps: number
  /** What they draw. */
  readonly drawn: Promise<DrawnTokens>
}

/**
 * The batch that goes on behind one.
 *
 * @param steps of that one
 * @param ids what these drew, if it is known
 */
export function behind(batch: RowBatch, steps: number, ids?: Int32Array): RowBatch {
  const rows = batch.tokens.length
  return {
    ...batch,
    tokens: ids?.slice((steps - 1) * rows, steps * rows) ?? batch.tokens,
    positions: Array.from(batch.positions, (position) => position + steps),
  }
}

/** Whether several steps are what was computed ahead, or the first of it. */
export function isAhead(
  ahead: StepsAhead,
  asked: Pick<StepsAhead, 'batch' | 'each' | 'steps'>,
): boolean {
  const { batch, each } = ahead
  const own = asked.batch
  const isSame = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    a.length === b.length && Array.from(a).every((value, i) => value === b[i])
  return (
    asked.steps > 1 &&
    asked.steps <= ahead.steps &&
    isSame(batch.tokens, own.tokens) &&
    isSame(batch.slots, own.slots) &&
    isSame(batch.positions, own.positions) &&
    each.every((draw, i) => draw === asked.each[i])
  )
}
