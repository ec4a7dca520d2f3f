/**
 * The blocks of layers that look back equally far: the pool that they come from, what sequences were promised
 * of it, and what one sequence holds.
 */
import { ATTENTION_CHUNK } from '../../kernels/attention/layout.ts'
import { BlockPool } from './block-pool.ts'
import { NO_BLOCK, type PrefixTree } from './prefix-tree.ts'

/** Positions by which a sequence may go back, with a window, and still find what the window sees. */
const WINDOW_SLACK = 256

/** How far some layers look back, and how many blocks they have. */
export interface GroupShape {
  /** Unset: to the beginning. */
  readonly window?: number | undefined
  readonly blocks: number
}

export class BlockGroup {
  readonly index: number
  readonly window: number | undefined
  readonly pool: BlockPool
  /** Most blocks that a sequence holds at a time. */
  readonly span: number
  /** Blocks that sequences may still take, and all that they may hold. */
  promised = 0
  #total = 0
  #copied = 0

  /** @param maxRows that a pass may have */
  constructor(index: number, { window, blocks }: GroupShape, maxRows: number) {
    this.index = index
    this.window = window
    this.pool = new BlockPool(blocks)
    this.span = leastBlocks(window, maxRows)
  }

  /**
   * Blocks that can be promised; below 0 where too many were. What sequences share they leave one by one where
   * there is a window, and need as many of their own then.
   */
  get available(): number {
    if (this.window !== undefined) return this.pool.size - this.#total - this.#copied
    return this.pool.free + this.pool.droppable - this.promised
  }

  /** Holds a block until it is copied. */
  holdCopied(block: number): void {
    this.pool.hold(block)
    this.#copied++
  }

  releaseCopied(block: number): void {
    this.pool.release(block)
    this.#copied--
  }

  promise(more: number): void {
    this.promised += more
    this.#total += more
  }

  /** Most positions that a sequence may have. */
  get capacity(): number {
    return this.span <= this.pool.size ? Infinity : this.pool.size * ATTENTION_CHUNK
  }

  /** The first block that a row at `position` looks at. */
  firstSeen(position: number, slack = 0): number {
    if (this.window === undefined) return 0
    return Math.floor(Math.max(0, position + 1 - this.window - slack) / ATTENTION_CHUNK)
  }
}

/**
 * Most blocks that a sequence holds at a time: those of a pass, of the window behind it, and of as much again
 * as was computed before the sequence went back.
 */
export function leastBlocks(window: number | undefined, maxRows: number): number {
  return window === undefined ? Infinity : blocksOf(window + WINDOW_SLACK + 2 * maxRows) + 1
}

export function blocksOf(positions: number): number {
  return Math.ceil(positions / ATTENTION_CHUNK)
}

/** What one sequence holds of a group. */
export class HeldBlocks {
  readonly group: BlockGroup
  /** By their place in the sequence. */
  readonly blocks: number[] = []
  #most = 0

  constructor(group: BlockGroup) {
    this.group = group
  }

  /** Promises blocks for so many positions; see {@link BlockGroup.available} for whether it can. */
  promise(positions: number): void {
    const most = Math.min(blocksOf(positions), this.group.span)
    this.group.promise(most - this.#most)
    this.#most = most
  }

  at(index: number): number {
    return this.blocks[index] ?? NO_BLOCK
  }

  /** Holds a block that is another's too. */
  share(index: number, block: number): void {
    this.group.pool.hold(block)
    this.#set(index, block)
  }

  /** Holds a block of its own. */
  take(index: number, tree: PrefixTree): number {
    const { pool, index: group } = this.group
    let block = pool.take()
    while (block === undefined && tree.evict(group)) block = pool.take()
    if (block === undefined) throw new Error('No block of the cache is left of those promised.')
    this.#set(index, block)
    return block
  }

  /** Holds an equal block in the place of its own. */
  exchange(index: number, block: number): void {
    if (this.at(index) === block) return
    this.group.pool.hold(block)
    this.group.pool.release(this.blocks[index])
    this.blocks[index] = block
  }

  /** Gives back what the window of a row at `position` has left behind, but for some slack. */
  leave(position: number): void {
    const first = this.group.firstSeen(position, WINDOW_SLACK)
    for (let index = first - 1; index >= 0 && this.at(index) !== NO_BLOCK; index--) this.drop(index)
  }

  /** Gives back all, and what was promised. */
  dispose(): void {
    for (let index = 0; index < this.blocks.length; index++) {
      if (this.at(index) !== NO_BLOCK) this.drop(index)
    }
    this.promise(0)
  }

  #set(index: number, block: number): void {
    while (this.blocks.length < index) this.blocks.push(NO_BLOCK)
    this.blocks[index] = block
    this.group.promised--
  }

  /** Gives one back. */
  drop(index: number): void {
    this.group.pool.release(this.blocks[index])
    this.blocks[index] = NO_BLOCK
    this.group.promised++
  }
}
