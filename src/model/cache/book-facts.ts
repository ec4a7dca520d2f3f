/** What a book of sequences is told, and keeps of each. */
import type { GroupShape, HeldBlocks } from './block-group.ts'

export interface Sequence {
  /** Tokens it was opened with. */
  readonly opened: ArrayLike<number>
  /** Tokens of the positions that are computed. */
  readonly tokens: number[]
  /** Positions that it may reach. */
  reserve: number
  /** Blocks of opened tokens that others can find. */
  published: number
  readonly held: readonly HeldBlocks[]
}

export interface BookFacts {
  /** Positions of the model's context. */
  readonly contextLength: number
  /** Rows that a pass may have. */
  readonly maxRows: number
  readonly maxSequences: number
  /** One for layers that look back equally far. */
  readonly groups: readonly GroupShape[]
}
