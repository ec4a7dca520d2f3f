/** Blocks that wait to be copied before the next pass; they are held until then. */
import type { BlockGroup, HeldBlocks } from './block-group.ts'
import type { PrefixTree } from './prefix-tree.ts'

export interface BlockCopy {
  readonly group: number
  readonly from: number
  readonly to: number
}

export class BlockCopies {
  #waiting: BlockCopy[] = []
  #count = 0

  /** In the order in which they must be copied. */
  get waiting(): readonly BlockCopy[] {
    return this.#waiting
  }

  /** How many there ever were. */
  get count(): number {
    return this.#count
  }

  /** Gives a sequence a block that has what is in `from`, which its group holds as copied. */
  add(held: HeldBlocks, index: number, from: number, tree: PrefixTree): void {
    this.#waiting.push({ group: held.group.index, from, to: held.take(index, tree) })
    this.#count++
  }

  /** Gives a sequence a copy of a block in its place. */
  replace(held: HeldBlocks, index: number, tree: PrefixTree): void {
    const from = held.at(index)
    held.group.holdCopied(from)
    held.drop(index)
    this.add(held, index, from, tree)
  }

  /** Sequences that have a block. */
  users({ index, pool }: BlockGroup, block: number): number {
    const copied = this.#waiting.filter(({ group, from }) => group === index && from === block)
    return pool.users(block) - copied.length
  }

  /** Whether nobody but one sequence has a block, the tree included. */
  isAlone(group: BlockGroup, block: number): boolean {
    return this.users(group, block) === 1 && !group.pool.isKept(block)
  }

  /** All of them are copied. */
  settle(groups: readonly BlockGroup[]): void {
    for (const { group, from } of this.#waiting) groups[group].releaseCopied(from)
    this.#waiting = []
  }
}
