/**
 * Which blocks of a cache are whose: a count of holders each. Sequences hold the blocks that they read and
 * write, the prefix tree those that it keeps for later; a block that nobody but the tree holds can be had by
 * letting the tree drop it. Numbers only: memory is cache-memory.ts's.
 */

export class BlockPool {
  /** Blocks that there may be. */
  readonly size: number
  readonly #holders: Int32Array
  /** 1 for those that the tree holds. */
  readonly #isKept: Uint8Array
  /** Those given back; the last one is taken first, so that memory once used is used again. */
  readonly #free: number[] = []
  /** From here on no block was ever taken. */
  #fresh = 0
  #kept = 0
  #droppable = 0
  #shared = 0

  constructor(size: number) {
    this.size = size
    this.#holders = new Int32Array(size)
    this.#isKept = new Uint8Array(size)
  }

  /** Blocks that nobody holds. */
  get free(): number {
    return this.#free.length + this.size - this.#fresh
  }

  /** Blocks that only the tree holds. */
  get droppable(): number {
    return this.#droppable
  }

  /** Blocks that the tree holds. */
  get kept(): number {
    return this.#kept
  }

  /** Blocks of several sequences. */
  get shared(): number {
    return this.#shared
  }

  /** All blocks ever taken have lower numbers. */
  get touched(): number {
    return this.#fresh
  }

  /** A block with one holder, or undefined where none is free. */
  take(): number | undefined {
    const block = this.#free.pop() ?? (this.#fresh < this.size ? this.#fresh++ : undefined)
    if (block !== undefined) this.#holders[block] = 1
    return block
  }

  hold(block: number): void {
    if (this.#isOnlyKept(block)) this.#droppable--
    this.#holders[this.#held(block)]++
    if (this.users(block) === 2) this.#shared++
  }

  release(block: number): void {
    if (this.users(block) === 2) this.#shared--
    if (--this.#holders[this.#held(block)] === 0) this.#free.push(block)
    else if (this.#isOnlyKept(block)) this.#droppable++
  }

  /** Holds a block for the tree. */
  keep(block: number): void {
    this.#holders[this.#held(block)]++
    this.#isKept[block] = 1
    this.#kept++
  }

  /** Gives up what {@link keep} took. */
  drop(block: number): void {
    if (this.#isOnlyKept(block)) this.#droppable--
    this.#isKept[block] = 0
    this.#kept--
    if (--this.#holders[this.#held(block)] === 0) this.#free.push(block)
  }

  /** How many hold it beside the tree. */
  users(block: number): number {
    return this.#holders[block] - this.#isKept[block]
  }

  isKept(block: number): boolean {
    return this.#isKept[block] === 1
  }

  /** Whether nobody but the tree holds it. */
  isDroppable(block: number): boolean {
    return this.#isOnlyKept(block)
  }

  #isOnlyKept(block: number): boolean {
    return this.#isKept[block] === 1 && this.#holders[block] === 1
  }

  #held(block: number): number {
    if (!(this.#holders[block] > 0))
      throw new Error(`Block ${block} of the cache is held by nobody.`)
    return block
  }
}
