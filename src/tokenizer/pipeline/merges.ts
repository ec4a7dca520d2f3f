/**
 * Joining symbols by a list of merges: of all neighbours that a merge joins, the pair whose merge comes
 * first in the list, of equals the leftmost, again and again (Sennrich et al. 2016, section 3.2).
 */
import { MANY, type Steps } from '../../steps.ts'
import { PairTable } from './pair-table.ts'

/** Up to this many symbols, looking at all pairs is faster than keeping them in order. */
const FEW = 24
/** Ranks are below 2^22, places below 2^31: both fit a number's 53 bits. */
const PLACES = 2 ** 31

export class Merges {
  readonly #ranks: PairTable
  /** By rank: what the pair becomes. */
  readonly #joined: Int32Array

  #count = 0

  /** @param capacity the most merges that will be added */
  constructor(capacity: number) {
    this.#ranks = new PairTable(capacity)
    this.#joined = new Int32Array(capacity)
  }

  /** The next merge of the list: ids of two neighbours and of what they become. */
  add(left: number, right: number, joined: number): void {
    // Of equal pairs the last counts, as in the Rust library.
    this.#ranks.set(left, right, this.#count)
    this.#joined[this.#count++] = joined
  }

  /** The ids that symbols become; may change its argument. */
  *apply(symbols: number[]): Steps<number[]> {
    if (symbols.length < 2) return symbols
    if (symbols.length <= FEW) return this.#applyToFew(symbols)
    return yield* this.#applyToMany(symbols)
  }

  #applyToFew(symbols: number[]): number[] {
    const ranks: number[] = []
    for (let i = 0; i + 1 < symbols.length; i++)
      ranks.push(this.#ranks.get(symbols[i], symbols[i + 1]))
    for (;;) {
      let best = -1
      for (let i = 0; i < ranks.length; i++) {
        if (ranks[i] >= 0 && (best < 0 || ranks[i] < ranks[best])) best = i
      }
      if (best < 0) return symbols
      symbols[best] = this.#joined[ranks[best]]
      symbols.splice(best + 1, 1)
      ranks.splice(best, 1)
      if (best > 0) ranks[best - 1] = this.#ranks.get(symbols[best - 1], symbols[best])
      if (best < ranks.length) ranks[best] = this.#ranks.get(symbols[best], symbols[best + 1])
    }
  }

  /** A linked list of symbols, and a heap of the pairs that could be joined when they were seen. */
  *#applyToMany(symbols: number[]): Steps<number[]> {
    const count = symbols.length
    const next = new Int32Array(count)
    const previous = new Int32Array(count)
    const heap = new Heap(3 * count)
    for (let i = 0; i < count; i++) {
      next[i] = i + 1
      previous[i] = i - 1
    }
    const offer = (left: number) => {
      const right = left < 0 ? count : next[left]
      if (right >= count) return
      const rank = this.#ranks.get(symbols[left], symbols[right])
      if (rank >= 0) heap.push(rank * PLACES + left)
    }
    for (let i = 0; i + 1 < count; i++) {
      offer(i)
      if (i % MANY === MANY - 1) yield
    }
    let turn = 0
    for (let key = heap.pop(); key >= 0; key = heap.pop()) {
      if (++turn % MANY === 0) yield
      const rank = Math.floor(key / PLACES)
      const left = key - rank * PLACES
      const right = symbols[left] < 0 ? count : next[left]
      // Either side may have become something else since.
      if (right >= count || this.#ranks.get(symbols[left], symbols[right]) !== rank) continue
      symbols[left] = this.#joined[rank]
      symbols[right] = -1
      next[left] = next[right]
      if (next[right] < count) previous[next[right]] = left
      offer(previous[left])
      offer(left)
    }
    return symbols.filter((symbol) => symbol >= 0)
  }
}

/** A binary heap of numbers, the least first. */
class Heap {
  readonly #keys: Float64Array
  #count = 0

  constructor(capacity: number) {
    this.#keys = new Float64Array(capacity)
  }

  push(key: number): void {
    const keys = this.#keys
    let at = this.#count++
    for (; at > 0; ) {
      const parent = (at - 1) >> 1
      if (keys[parent] <= key) break
      keys[at] = keys[parent]
      at = parent
    }
    keys[at] = key
  }

  /** -1 if it is empty. */
  pop(): number {
    if (this.#count === 0) return -1
    const keys = this.#keys
    const top = keys[0]
    const last = keys[--this.#count]
    const count = this.#count
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= count) break
      if (child + 1 < count && keys[child + 1] < keys[child]) child++
      if (keys[child] >= last) break
      keys[at] = keys[child]
      at = child
    }
    keys[at] = last
    return top
  }
}
