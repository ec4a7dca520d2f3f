/**
 * What was computed, findable by its tokens: a radix tree whose nodes are blocks of the cache. A node has the
 * tokens of its block, 256, or fewer where a text ended, which then has no children. It holds a block in the
 * pool of each group of layers; one of layers with a window may be gone, as they are looked at no more.
 *
 * Least recently used ones go first, and leaves before what they continue.
 */
import { ATTENTION_CHUNK } from '../../kernels/attention/layout.ts'
import type { BlockPool } from './block-pool.ts'

/** For a block that is gone, or was never there. */
export const NO_BLOCK = -1

export interface PrefixNode {
  readonly tokens: Int32Array
  readonly parent: PrefixNode | undefined
  /** In the order of their tokens. */
  readonly children: PrefixNode[]
  /** One of each group, or NO_BLOCK. */
  readonly blocks: number[]
  lastUsed: number
}

/** How far some tokens are known. */
export interface PrefixMatch {
  /** Nodes all of whose tokens match, from the first on. */
  readonly whole: readonly PrefixNode[]
  /** The one that matches longest after them, by its first tokens; undefined where none does. */
  readonly next: PrefixNode | undefined
  /** Tokens that match. */
  readonly length: number
}

type Tokens = ArrayLike<number>

export class PrefixTree {
  readonly #pools: readonly BlockPool[]
  /** The groups whose nodes may lose their blocks and stay. */
  readonly #mayLose: readonly boolean[]
  readonly #root: PrefixNode = nodeOf([], undefined, [])
  readonly #nodes = new Set<PrefixNode>()
  #clock = 0
  #evicted = 0

  /**
   * @param pools of each group of layers
   * @param mayLose whether a group has only what a window sees
   */
  constructor(pools: readonly BlockPool[], mayLose: readonly boolean[]) {
    this.#pools = pools
    this.#mayLose = mayLose
  }

  /** Nodes that there are. */
  get size(): number {
    return this.#nodes.size
  }

  /** Blocks dropped because others were wanted. */
  get evicted(): number {
    return this.#evicted
  }

  /** The longest beginning of `tokens` that is known. What matches counts as used. */
  match(tokens: Tokens): PrefixMatch {
    return this.#find(tokens, ++this.#clock)
  }

  #find(tokens: Tokens, lastUsed: number): PrefixMatch {
    const whole: PrefixNode[] = []
    let node = this.#root
    for (;;) {
      const from = whole.length * ATTENTION_CHUNK
      const { child, length } = longestChild(node.children, tokens, from)
      if (child !== undefined) child.lastUsed = lastUsed
      if (child === undefined || length < ATTENTION_CHUNK) {
        return { whole, next: child, length: from + length }
      }
      whole.push(child)
      node = child
    }
  }

  /**
   * Adds what was computed of `tokens`. What is known already stays, and takes the blocks that it lacks.
   *
   * @param blockOf the block of a group that has the tokens from 256 `index` on, or NO_BLOCK
   * @returns the nodes of whole blocks, from the first on
   */
  insert(tokens: Tokens, blockOf: (group: number, index: number) => number): PrefixNode[] {
    const whole: PrefixNode[] = []
    const lastUsed = ++this.#clock
    let node = this.#root
    for (let from = 0; from < tokens.length; from += ATTENTION_CHUNK) {
      const index = whole.length
      const end = Math.min(from + ATTENTION_CHUNK, tokens.length)
      const { child, length, at } = longestChild(node.children, tokens, from)
      if (child !== undefined && length === end - from) {
        child.lastUsed = lastUsed
        if (length < ATTENTION_CHUNK) return whole
        this.#complete(child, (group) => blockOf(group, index))
        node = child
      } else {
        // A text that went on where another one ended takes its place.
        const ended = child !== undefined && length === child.tokens.length ? child : undefined
        if (ended !== undefined) this.#remove(ended)
        const blocks = this.#pools.map(() => NO_BLOCK)
        const part = Int32Array.from({ length: end - from }, (_, i) => tokens[from + i])
        const added = nodeOf(part, node, blocks)
        this.#complete(added, (group) => blockOf(group, index))
        added.lastUsed = lastUsed
        // What it continues came right before it.
        node.children.splice(ended === undefined ? at : at - 1, 0, added)
        this.#nodes.add(added)
        node = added
      }
      if (end - from === ATTENTION_CHUNK) whole.push(node)
    }
    return whole
  }

  /** Drops what of a group was not used for longest and nobody holds. @returns whether there was any */
  evict(group: number): boolean {
    const pool = this.#pools[group]
    const mayLose = this.#mayLose[group]
    let oldest: PrefixNode | undefined
    for (const node of this.#nodes) {
      const block = node.blocks[group]
      if (block === NO_BLOCK || !pool.isDroppable(block)) continue
      if (!mayLose && node.children.length > 0) continue
      if (oldest === undefined || node.lastUsed < oldest.lastUsed) oldest = node
    }
    if (oldest === undefined) return false
    this.#evicted++
    if (!mayLose) {
      this.#remove(oldest)
      return true
    }
    pool.drop(oldest.blocks[group])
    oldest.blocks[group] = NO_BLOCK
    this.#removeEmpty(oldest)
    return true
  }

  /** Drops the block that has `tokens` from 256 `index` on, and all that goes on from it. */
  cut(tokens: Tokens, index: number): void {
    const node = this.#find(tokens, this.#clock).whole[index]
    if (node === undefined) return
    const drop = (own: PrefixNode) => {
      for (const child of own.children) drop(child)
      this.#drop(own)
    }
    node.parent?.children.splice(node.parent.children.indexOf(node), 1)
    drop(node)
  }

  /** Drops everything. */
  clear(): void {
    for (const node of [...this.#nodes]) this.#drop(node)
    this.#root.children.length = 0
  }

  /** Nodes without any block lead nowhere unless others follow. */
  #removeEmpty(node: PrefixNode): void {
    for (let at: PrefixNode | undefined = node; at?.parent !== undefined; at = at.parent) {
      if (at.children.length > 0 || at.blocks.some((block) => block !== NO_BLOCK)) return
      this.#remove(at)
    }
  }

  #complete(node: PrefixNode, blockOf: (group: number) => number): void {
    for (const [group, pool] of this.#pools.entries()) {
      const block = blockOf(group)
      if (node.blocks[group] !== NO_BLOCK || block === NO_BLOCK) continue
      pool.keep(block)
      node.blocks[group] = block
    }
  }

  #remove(node: PrefixNode): void {
    const siblings = node.parent?.children
    siblings?.splice(siblings.indexOf(node), 1)
    this.#drop(node)
  }

  #drop(node: PrefixNode): void {
    this.#nodes.delete(node)
    for (const [group, block] of node.blocks.entries()) {
      if (block !== NO_BLOCK) this.#pools[group].drop(block)
    }
  }
}

function nodeOf(
  tokens: ArrayLike<number>,
  parent: PrefixNode | undefined,
  blocks: number[],
): PrefixNode {
  return { tokens: Int32Array.from(tokens), parent, children: [], blocks, lastUsed: 0 }
}

/** Below 0 where a node's tokens come before `tokens` from `from` on; what is cut off comes first. */
function compare(own: Int32Array, tokens: Tokens, from: number): number {
  const length = commonLength(own, tokens, from)
  const left = Math.min(tokens.length - from, ATTENTION_CHUNK)
  if (length === own.length || length === left) return own.length - left
  return own[length] - tokens[from + length]
}

function commonLength(own: Int32Array, tokens: Tokens, from: number): number {
  const most = Math.min(own.length, tokens.length - from)
  let length = 0
  while (length < most && own[length] === tokens[from + length]) length++
  return length
}

/**
 * The child with most tokens in common with `tokens` from `from` on: in their order it is a neighbour of the
 * place `at` where these would be.
 */
function longestChild(
  children: readonly PrefixNode[],
  tokens: Tokens,
  from: number,
): { child: PrefixNode | undefined; length: number; at: number } {
  let at = 0
  for (let end = children.length; at < end; ) {
    const middle = (at + end) >> 1
    if (compare(children[middle].tokens, tokens, from) < 0) at = middle + 1
    else end = middle
  }
  let child: PrefixNode | undefined
  let length = 0
  for (const near of children.slice(Math.max(0, at - 1), at + 1)) {
    const common = commonLength(near.tokens, tokens, from)
    if (common > length) {
      child = near
      length = common
    }
  }
  return { child, length, at }
}
