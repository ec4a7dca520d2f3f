/** What rows of a pass, and sequences, must be for a cache to hold them. */
import { isWhole } from '../../checks.ts'
import { ContextOverflowError, UsageError } from '../../errors.ts'
import { blocksOf, type HeldBlocks } from './block-group.ts'
import { NO_BLOCK } from './prefix-tree.ts'

/** What to do about a position that a sequence cannot go back to. */
const AGAIN = 'Close the sequence and open it again with the tokens that it shall have.'

/**
 * @param least positions that a sequence has already
 * @param capacity positions that one may have
 */
export function checkReserve(reserve: number, least: number, capacity: number): void {
  if (!isWhole(reserve, Math.max(1, least))) {
    throw new UsageError(
      `Expected room for a whole number of positions, at least ${Math.max(1, least)}, got ${reserve}.`,
    )
  }
  if (reserve <= capacity) return
  throw new ContextOverflowError(
    `Expected at most ${capacity} positions, which is what the context, the memory for caches and a GPU's bindings ` +
      `have room for, got ${reserve}. Shorten the prompt, ask for fewer tokens, or give caches more memory or a ` +
      'smaller type.',
    { needed: reserve, available: capacity },
  )
}

/**
 * @param before position of the sequence's row before, if there is one in the pass
 * @param filled positions of the sequence that are computed
 */
export function checkNext(
  slot: number,
  position: number,
  before: number | undefined,
  filled: number,
): void {
  if (!isWhole(position)) throw new UsageError(`Expected a position from 0 on, got ${position}.`)
  if (before === undefined ? position <= filled : position === before + 1) return
  const expected = before === undefined ? `at most ${filled}` : `${before + 1}`
  throw new UsageError(
    `Expected position ${expected} for the next row of slot ${slot}, got ${position}. ` +
      'Rows of a sequence follow each other without gaps.',
  )
}

export function checkWithin(position: number, reserve: number): void {
  if (position < reserve) return
  throw new ContextOverflowError(
    `Expected positions below ${reserve}, which is what the sequence has room for, got ${position}. ` +
      'Shorten the prompt or ask for fewer tokens.',
    { needed: position + 1, available: reserve },
  )
}

/** Where a copy of what others share does not fit. */
export function noRoomToGoBack(slot: number, position: number): string {
  return (
    `Expected to compute no position of slot ${slot} that others share, as there is no room for a copy, got ` +
    `${position}. ${AGAIN}`
  )
}

/** @throws UsageError if what a row at `position` looks at is gone */
export function checkSeen(held: HeldBlocks, slot: number, position: number): void {
  const first = held.group.firstSeen(position)
  if (position === 0 || held.at(first) !== NO_BLOCK || first === blocksOf(position)) return
  throw new UsageError(
    `Expected positions of slot ${slot} that the model's window still sees, got ${position}. ${AGAIN}`,
  )
}
