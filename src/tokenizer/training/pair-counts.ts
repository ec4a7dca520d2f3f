/**
 * The pairs of neighbours in all words while merges are learnt: how often each comes, in which words it may be,
 * and which comes most often. Millions of them, so all in typed arrays.
 */
import { PairTable } from '../pipeline/pair-table.ts'

const FIRST_CAPACITY = 1 << 14
/** Numbers of a block of a list: the next block, how many words, and words. A line of most processors' caches. */
const BLOCK = 16
const BLOCK_WORDS = 2
const BYTES = 256

/** Two pieces that become one. */
export interface Merge {
  readonly left: number
  readonly right: number
  readonly id: number
}

/**
 * Pairs by the piece that stands beside a merged one, found once in a merge: in most words it is one of few, and the
 * table of all pairs is no cache's.
 */
class Neighbours {
  turn = 0
  /** The turn in which each piece was met last. */
  readonly seen: Int32Array
  /** The pair that it was in, and the one that it is in now. */
  readonly olds: Int32Array
  readonly news: Int32Array

  constructor(pieces: number) {
    this.seen = new Int32Array(pieces)
    this.olds = new Int32Array(pieces)
    this.news = new Int32Array(pieces)
  }

  forget(): void {
    this.turn++
  }
}

export class PairCounts {
  #table = new PairTable(FIRST_CAPACITY)
  #size = 0
  #lefts = new Int32Array(FIRST_CAPACITY)
  #rights = new Int32Array(FIRST_CAPACITY)
  #counts = new Float64Array(FIRST_CAPACITY)
  /** The first block of each pair's list, -1 for an empty one. A list may name words that lost the pair since. */
  #heads = new Int32Array(FIRST_CAPACITY)
  #blocks: Int32Array
  #blocksUsed = 0
  /** Blocks that emptied lists have left, as a list. */
  #free = -1
  /** When each pair was noted last, and those that were since then. */
  #notes = new Int32Array(FIRST_CAPACITY)
  #noted = new Int32Array(FIRST_CAPACITY)
  #notedCount = 0
  #round = 1
  /** A list that was taken. */
  #taken = new Int32Array(FIRST_CAPACITY)
  #merge: Merge = { left: 0, right: 0, id: 0 }
  /** What stood before a merged pair, and behind it. */
  readonly #before: Neighbours
  readonly #behind: Neighbours

  /** Of pairs of single bytes: one more than the pair, 0 for none. All words are cut into these at first. */
  readonly #bytePairs = new Int32Array(BYTES * BYTES)

  /**
   * @param pieces ids are below it, those of bytes first
   * @param symbols of all words at first, about
   */
  constructor(pieces: number, symbols: number) {
    this.#before = new Neighbours(pieces)
    this.#behind = new Neighbours(pieces)
    this.#blocks = new Int32Array(
      BLOCK * (FIRST_CAPACITY + Math.ceil(symbols / (BLOCK - BLOCK_WORDS))),
    )
  }

  left(pair: number): number {
    return this.#lefts[pair]
  }

  right(pair: number): number {
    return this.#rights[pair]
  }

  count(pair: number): number {
    return this.#counts[pair]
  }

  /** Adds to a pair's count, as it comes in `word`, and notes the pair. */
  add(left: number, right: number, count: number, word: number): void {
    const pair = this.#note(left, right)
    this.#counts[pair] += count
    this.#list(pair, word)
  }

  /** What {@link moveBefore} and {@link moveBehind} are told of from now on. */
  beginMerge(merge: Merge): void {
    this.#merge = merge
    this.#before.forget()
    this.#behind.forget()
  }

  /** In `word`, `piece` stands before the merged pair: no more before its left piece, but before the new one. */
  moveBefore(piece: number, count: number, word: number): void {
    const { seen, turn, olds, news } = this.#before
    if (seen[piece] !== turn) {
      const { left, id } = this.#merge
      seen[piece] = turn
      olds[piece] = this.#find(piece, left)
      news[piece] = this.#note(piece, id)
    }
    this.#move(olds[piece], news[piece], count, word)
  }

  /** As {@link moveBefore}, of a piece that stands behind. */
  moveBehind(piece: number, count: number, word: number): void {
    const { seen, turn, olds, news } = this.#behind
    if (seen[piece] !== turn) {
      const { right, id } = this.#merge
      seen[piece] = turn
      olds[piece] = this.#find(right, piece)
      news[piece] = this.#note(id, piece)
    }
    this.#move(olds[piece], news[piece], count, word)
  }

  #move(from: number, to: number, count: number, word: number): void {
    this.#counts[from] -= count
    this.#counts[to] += count
    this.#list(to, word)
  }

  #find(left: number, right: number): number {
    if ((left | right) < BYTES) return this.#bytePairs[left * BYTES + right] - 1
    return this.#table.get(left, right)
  }

  /** The index of a pair, which is noted. */
  #note(left: number, right: number): number {
    let pair = this.#find(left, right)
    if (pair < 0) pair = this.#append(left, right)
    if (this.#notes[pair] === this.#round) return pair
    this.#notes[pair] = this.#round
    if (this.#notedCount === this.#noted.length)
      this.#noted = grown(this.#noted, 2 * this.#notedCount)
    this.#noted[this.#notedCount++] = pair
    return pair
  }

  /** Pairs that were added to since the last call; good until the next one. */
  takeNoted(): Int32Array {
    const noted = this.#noted.subarray(0, this.#notedCount)
    this.#notedCount = 0
    this.#round++
    return noted
  }

  /** The words that a pair may be in, which it has no list of any more; good until the next call. */
  takeWords(pair: number): Int32Array {
    const blocks = this.#blocks
    let [block, count] = [this.#heads[pair], 0]
    this.#heads[pair] = -1
    while (block >= 0) {
      const next = blocks[block]
      const words = blocks[block + 1]
      if (count + words > this.#taken.length) this.#taken = grown(this.#taken, 2 * (count + words))
      for (let i = 0; i < words; i++) this.#taken[count++] = blocks[block + BLOCK_WORDS + i]
      blocks[block] = this.#free
      this.#free = block
      block = next
    }
    return this.#taken.subarray(0, count)
  }

  /** A pair that is in no word any more. */
  clear(pair: number): void {
    this.#counts[pair] = 0
  }

  #append(left: number, right: number): number {
    const pair = this.#size++
    if (pair === this.#lefts.length) this.#grow()
    this.#lefts[pair] = left
    this.#rights[pair] = right
    this.#heads[pair] = -1
    if ((left | right) < BYTES) this.#bytePairs[left * BYTES + right] = pair + 1
    else this.#table.set(left, right, pair)
    return pair
  }

  #grow(): void {
    const capacity = 2 * this.#lefts.length
    this.#lefts = grown(this.#lefts, capacity)
    this.#rights = grown(this.#rights, capacity)
    this.#counts = grown(this.#counts, capacity)
    this.#heads = grown(this.#heads, capacity)
    this.#notes = grown(this.#notes, capacity)
    this.#table = new PairTable(capacity)
    for (let pair = 0; pair < this.#size - 1; pair++) {
      const [left, right] = [this.#lefts[pair], this.#rights[pair]]
      if ((left | right) >= BYTES) this.#table.set(left, right, pair)
    }
  }

  /** A word's pairs come one after the other, so that it is named once. */
  #list(pair: number, word: number): void {
    const head = this.#heads[pair]
    if (head >= 0) {
      const words = this.#blocks[head + 1]
      if (this.#blocks[head + 1 + words] === word) return
      if (words < BLOCK - BLOCK_WORDS) {
        this.#blocks[head + BLOCK_WORDS + words] = word
        this.#blocks[head + 1] = words + 1
        return
      }
    }
    let block = this.#free
    if (block >= 0) this.#free = this.#blocks[block]
    else {
      block = BLOCK * this.#blocksUsed++
      if (block === this.#blocks.length) this.#blocks = grown(this.#blocks, 2 * block)
    }
    this.#blocks[block] = head
    this.#blocks[block + 1] = 1
    this.#blocks[block + BLOCK_WORDS] = word
    this.#heads[pair] = block
  }
}

/**
 * Pairs by their counts, the most frequent first; of equals the one with the smaller left piece, then right piece.
 * Counts that have fallen since a pair was put in are noticed when its turn comes.
 */
export class PairQueue {
  readonly #pairs: PairCounts
  #entries = new Int32Array(FIRST_CAPACITY)
  #counts = new Float64Array(FIRST_CAPACITY)
  #size = 0

  constructor(pairs: PairCounts) {
    this.#pairs = pairs
  }

  push(pair: number): void {
    if (this.#size === this.#entries.length) {
      this.#entries = grown(this.#entries, 2 * this.#size)
      this.#counts = grown(this.#counts, 2 * this.#size)
    }
    this.#rise(this.#size++, pair, this.#pairs.count(pair))
  }

  /** The pair that comes most often and at least `least` times, taken out; -1 if there is none. */
  pop(least: number): number {
    while (this.#size > 0) {
      const pair = this.#entries[0]
      const before = this.#counts[0]
      const count = this.#pairs.count(pair)
      if (before === count || count < least) {
        const [last, lastCount] = [this.#entries[--this.#size], this.#counts[this.#size]]
        if (this.#size > 0) this.#sink(last, lastCount)
        if (count >= least) return pair
      } else {
        this.#sink(pair, count)
      }
    }
    return -1
  }

  #isBefore(pair: number, count: number, other: number, otherCount: number): boolean {
    if (count !== otherCount) return count > otherCount
    const pairs = this.#pairs
    const byLeft = pairs.left(pair) - pairs.left(other)
    return byLeft === 0 ? pairs.right(pair) < pairs.right(other) : byLeft < 0
  }

  #rise(from: number, pair: number, count: number): void {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(pair, count, this.#entries[parent], this.#counts[parent])) break
      this.#entries[at] = this.#entries[parent]
      this.#counts[at] = this.#counts[parent]
      at = parent
    }
    this.#entries[at] = pair
    this.#counts[at] = count
  }

  /** Puts an entry in the place of the first. */
  #sink(pair: number, count: number): void {
    const [entries, counts] = [this.#entries, this.#counts]
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.#size) break
      const other = child + 1
      if (
        other < this.#size &&
        this.#isBefore(entries[other], counts[other], entries[child], counts[child])
      ) {
        child = other
      }
      if (!this.#isBefore(entries[child], counts[child], pair, count)) break
      entries[at] = entries[child]
      counts[at] = counts[child]
      at = child
    }
    entries[at] = pair
    counts[at] = count
  }
}

function grown<T extends Int32Array | Float64Array>(array: T, length: number): T {
  const larger = new (array.constructor as new (length: number) => T)(length)
  larger.set(array as never)
  return larger
}
