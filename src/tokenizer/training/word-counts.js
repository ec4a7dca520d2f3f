/**
 * How often each word comes in texts: a table in typed arrays, which go from thread to thread without a copy.
 * Plain JavaScript, as it runs in workers too; word-counts.d.ts describes it.
 */
import { scriptWordEnd } from './script-words.js'

/** Code units after which a run without a border is cut: of base64, of hostile input. */
const MAX_WORD = 256
const FIRST_PLACES = 1 << 12

export class WordCounts {
  /** One more than the word's index; 0 where the place is free. */
  #places = new Int32Array(FIRST_PLACES)
  #characters = new Uint16Array(8 * FIRST_PLACES)
  /** Where each word ends; the next one begins there. */
  #ends = new Uint32Array(FIRST_PLACES)
  #hashes = new Int32Array(FIRST_PLACES)
  #counts = new Float64Array(FIRST_PLACES)
  #size = 0

  get size() {
    return this.#size
  }

  addText(units, start, size) {
    for (let at = start; at < size; ) {
      const end = scriptWordEnd(units, at, size)
      this.#addRun(units, at, end)
      at = end
    }
  }

  #addRun(units, start, end) {
    let from = start
    while (end - from > MAX_WORD) {
      const isPair = (units[from + MAX_WORD - 1] & 0xfc00) === 0xd800
      const cut = from + MAX_WORD - (isPair ? 1 : 0)
      this.#addRun(units, from, cut)
      from = cut
    }
    if (3 * (this.#size + 1) > 2 * this.#places.length) this.#rehash(2 * this.#places.length)
    const first = this.#size === 0 ? 0 : this.#ends[this.#size - 1]
    if (first + MAX_WORD > this.#characters.length) this.#characters = doubled(this.#characters)
    const characters = this.#characters
    let hash = 0
    // Written behind the last word, where it stays if it is new.
    let to = first
    for (let i = from; i < end; i++) {
      const unit = units[i]
      characters[to++] = unit
      hash = Math.imul(hash ^ unit, 0x01000193)
    }
    this.#count(first, to, hash, 1)
  }

  /** Counts the word that lies from `first` to `end` behind the others. */
  #count(first, end, hash, count) {
    const mask = this.#places.length - 1
    const characters = this.#characters
    const length = end - first
    for (let place = (hash ^ (hash >>> 15)) & mask; ; place = (place + 1) & mask) {
      const index = this.#places[place] - 1
      if (index < 0) {
        this.#append(place, end, hash, count)
        return
      }
      if (this.#hashes[index] !== hash) continue
      const start = index === 0 ? 0 : this.#ends[index - 1]
      if (this.#ends[index] - start !== length) continue
      let same = 0
      while (same < length && characters[start + same] === characters[first + same]) same++
      if (same < length) continue
      this.#counts[index] += count
      return
    }
  }

  #append(place, end, hash, count) {
    if (this.#size === this.#ends.length) {
      this.#ends = doubled(this.#ends)
      this.#hashes = doubled(this.#hashes)
      this.#counts = doubled(this.#counts)
    }
    this.#ends[this.#size] = end
    this.#hashes[this.#size] = hash
    this.#counts[this.#size] = count
    this.#places[place] = ++this.#size
  }

  #rehash(length) {
    this.#places = new Int32Array(length)
    const mask = length - 1
    for (let index = 0; index < this.#size; index++) {
      const hash = this.#hashes[index]
      let place = (hash ^ (hash >>> 15)) & mask
      while (this.#places[place] !== 0) place = (place + 1) & mask
      this.#places[place] = index + 1
    }
  }

  take() {
    const size = this.#size
    const taken = {
      characters: this.#characters.slice(0, size === 0 ? 0 : this.#ends[size - 1]),
      ends: this.#ends.slice(0, size),
      hashes: this.#hashes.slice(0, size),
      counts: this.#counts.slice(0, size),
    }
    this.#places.fill(0)
    this.#size = 0
    return taken
  }

  addCounted({ characters, ends, hashes, counts }, weight) {
    let start = 0
    for (let word = 0; word < ends.length; word++) {
      const end = ends[word]
      if (3 * (this.#size + 1) > 2 * this.#places.length) this.#rehash(2 * this.#places.length)
      const first = this.#size === 0 ? 0 : this.#ends[this.#size - 1]
      if (first + MAX_WORD > this.#characters.length) this.#characters = doubled(this.#characters)
      let to = first
      for (let i = start; i < end; i++) this.#characters[to++] = characters[i]
      this.#count(first, to, hashes[word], weight * counts[word])
      start = end
    }
  }

  keepMost(limit) {
    if (this.#size <= limit) return
    const sorted = this.#counts.slice(0, this.#size).sort()
    const least = sorted[this.#size - limit]
    let equals = limit - sorted.subarray(this.#size - limit).filter((count) => count > least).length
    const all = this.take()
    let start = 0
    for (const [word, end] of all.ends.entries()) {
      const count = all.counts[word]
      const isKept = count > least || (count === least && equals-- > 0)
      if (isKept) {
        this.addCounted(
          {
            characters: all.characters.subarray(start, end),
            ends: [end - start],
            hashes: [all.hashes[word]],
            counts: [count],
          },
          1,
        )
      }
      start = end
    }
  }
}

function doubled(array) {
  const larger = new array.constructor(2 * array.length)
  larger.set(array)
  return larger
}
