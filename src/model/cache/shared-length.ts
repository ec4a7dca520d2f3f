/** How much of what matches a sequence can share. */
import { ATTENTION_CHUNK, KEY_BLOCK } from '../../kernels/attention/layout.ts'
import { type BlockGroup, blocksOf } from './block-group.ts'
import { NO_BLOCK, type PrefixMatch } from './prefix-tree.ts'

/** Fewer tokens are not worth copying a block for. */
export const MIN_COPIED = 16

/**
 * Of layers with a window all that it sees must be there.
 *
 * @param most tokens that may be shared
 */
export function sharedLength(
  { whole, next, length }: PrefixMatch,
  groups: readonly BlockGroup[],
  most: number,
): number {
  const nodes = next === undefined ? whole : [...whole, next]
  const isThere = (end: number) =>
    groups.every((group) => {
      for (let index = group.firstSeen(end); index < blocksOf(end); index++) {
        if (nodes[index].blocks[group.index] === NO_BLOCK) return false
      }
      return true
    })
  let end = Math.max(0, Math.min(length, most))
  if (end % ATTENTION_CHUNK < MIN_COPIED) end -= end % ATTENTION_CHUNK
  while (end > 0 && !isThere(end)) end = Math.floor((end - 1) / ATTENTION_CHUNK) * ATTENTION_CHUNK
  return end
}

/** Positions whose keys and values can be copied, and in which blocks they are. */
export interface KnownPositions {
  /** A multiple of 16, as layouts have them together. */
  readonly length: number
  readonly blockOf: (group: number, index: number) => number
}

/** What of a match can be copied. */
export function knownPositions(match: PrefixMatch, groups: readonly BlockGroup[]): KnownPositions {
  const { whole, next } = match
  const length = sharedLength(match, groups, match.length - (match.length % KEY_BLOCK))
  const nodes = next === undefined ? whole : [...whole, next]
  return { length, blockOf: (group, index) => nodes[index].blocks[group] }
}
