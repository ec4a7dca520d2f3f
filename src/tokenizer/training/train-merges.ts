/**
 * Byte pair encoding learnt from counted words (Sennrich et al. 2016): the two neighbours that come most often
 * become one piece, again and again. Only words with the pair are looked at again.
 */
import { MANY, type Steps } from '../../steps.ts'
import { BYTE_CHARACTERS } from '../byte-alphabet.ts'
import { PairCounts, PairQueue } from './pair-counts.ts'
import type { CountedWords } from './word-counts.js'

export interface MergeOptions {
  /** Pieces to end with, the 256 bytes among them. */
  readonly pieces: number
  /** A pair that comes less often is not merged. */
  readonly minFrequency: number
  /** Pieces so far. */
  readonly onPieces?: ((count: number) => void) | undefined
}

export interface TrainedMerges {
  /** In the alphabet of bytes, in the order of their ids. */
  readonly pieces: readonly string[]
  readonly merges: readonly (readonly [left: string, right: string])[]
  /** Bytes of the words, and pieces that they are cut into now, each as often as it came. */
  readonly bytes: number
  readonly tokens: number
}

/** Deterministic: of pairs that come equally often, the one of smaller ids. */
export function* trainMerges(words: CountedWords, options: MergeOptions): Steps<TrainedMerges> {
  const pieces = [...BYTE_CHARACTERS].sort()
  const ids = new Map(pieces.map((piece, id) => [piece, id]))
  const byteIds = BYTE_CHARACTERS.map((character) => ids.get(character) as number)
  const text = yield* symbolsOf(words, byteIds)
  const pairs = new PairCounts()
  const queue = new PairQueue(pairs)
  const least = Math.max(1, options.minFrequency)
  for (const [i, word] of text.places.entries()) {
    text.addPairs(word, pairs)
    if (i % MANY === MANY - 1) yield
  }
  // What comes too seldom is put in when it comes more often.
  const line = () => {
    for (const pair of pairs.takeNoted()) if (pairs.count(pair) >= least) queue.push(pair)
  }
  line()
  const merges: [string, string][] = []
  // Bytes of words that were gone over since others had their turn.
  let work = 0
  while (pieces.length < options.pieces) {
    const pair = queue.pop(least)
    if (pair < 0) break
    const [left, right] = [pairs.left(pair), pairs.right(pair)]
    const piece = pieces[left] + pieces[right]
    let id = ids.get(piece)
    if (id === undefined) {
      id = pieces.length
      ids.set(piece, id)
      pieces.push(piece)
      options.onPieces?.(pieces.length)
    }
    merges.push([pieces[left], pieces[right]])
    const merge = { left, right, id }
    const own = pairs.takeWords(pair)
    for (let i = 0; i < own.length; i++) {
      if (i % AHEAD === 0) text.touch(own, i, Math.min(own.length, i + AHEAD))
      work += text.merge(own[i], merge, pairs)
      if (work < MANY * 8) continue
      work = 0
      yield
    }
    pairs.clear(pair)
    line()
  }
  const tokens = text.places.reduce((sum, word) => sum + text.tokensOf(word), 0)
  return { pieces, merges, bytes: text.bytes, tokens }
}

interface Merge {
  readonly left: number
  readonly right: number
  readonly id: number
}

/** Numbers before a word's symbols: how many there are, and how often it comes, as two halves. */
const HEADER = 3
const HALF = 2 ** 32
/** Words that are fetched at a time: their places have no order, and memory has many of them on its way at once. */
const AHEAD = 32
/** Numbers of a line of most processors' caches. */
const LINE = 16

/** All words, each known by its place in one array: what is looked at together lies together. */
class Symbols {
  readonly #symbols: Int32Array
  readonly places: Int32Array
  /** Of all words, each as often as it came. */
  readonly bytes: number
  /** Keeps what {@link touch} reads from being left out. */
  touched = 0

  constructor(symbols: Int32Array, places: Int32Array, bytes: number) {
    this.#symbols = symbols
    this.places = places
    this.bytes = bytes
  }

  #countOf(word: number): number {
    return this.#symbols[word + 1] * HALF + (this.#symbols[word + 2] >>> 0)
  }

  /** As often as it came. */
  tokensOf(word: number): number {
    return this.#symbols[word] * this.#countOf(word)
  }

  /** Brings some words into the caches. */
  touch(words: Int32Array, from: number, to: number): void {
    const symbols = this.#symbols
    let sum = 0
    for (let i = from; i < to; i++) sum ^= symbols[words[i]] ^ symbols[words[i] + LINE - 1]
    this.touched = sum
  }

  /** Counts the neighbours of a word. */
  addPairs(word: number, pairs: PairCounts): void {
    const symbols = this.#symbols
    const count = this.#countOf(word)
    const start = word + HEADER
    const end = start + symbols[word]
    for (let at = start + 1; at < end; at++) pairs.add(symbols[at - 1], symbols[at], count, word)
  }

  /**
   * Merges a pair in a word, from left to right, and counts its neighbours anew.
   *
   * @returns symbols that were looked at
   */
  merge(word: number, { left, right, id }: Merge, pairs: PairCounts): number {
    const symbols = this.#symbols
    const count = this.#countOf(word)
    const start = word + HEADER
    const end = start + symbols[word]
    let to = start
    for (let at = start; at < end; at++) {
      if (symbols[at] !== left || at + 1 === end || symbols[at + 1] !== right) {
        symbols[to++] = symbols[at]
        continue
      }
      if (to > start) {
        pairs.subtract(symbols[to - 1], left, count)
        pairs.add(symbols[to - 1], id, count, word)
      }
      if (at + 2 < end) {
        pairs.subtract(right, symbols[at + 2], count)
        pairs.add(id, symbols[at + 2], count, word)
      }
      symbols[to++] = id
      at++
    }
    symbols[word] = to - start
    return end - start
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-16le', { ignoreBOM: true })
/** Bytes of a code unit, at most. */
const UNIT_BYTES = 3

/** @param byteIds the id of each byte */
function* symbolsOf(words: CountedWords, byteIds: readonly number[]): Steps<Symbols> {
  const { characters, ends, counts } = words
  const places = new Int32Array(ends.length)
  const longest = ends.reduce((most, end, i) => Math.max(most, end - (ends[i - 1] ?? 0)), 0)
  const bytes = new Uint8Array(UNIT_BYTES * longest)
  let symbols = new Int32Array(1 << 16)
  let [length, total, start] = [0, 0, 0]
  for (let word = 0; word < ends.length; word++) {
    const own = characters.subarray(start, ends[word])
    start = ends[word]
    const { written } = encoder.encodeInto(decoder.decode(own), bytes)
    if (length + HEADER + written + LINE > symbols.length) {
      const larger = new Int32Array(2 * symbols.length)
      larger.set(symbols)
      symbols = larger
    }
    places[word] = length
    symbols[length++] = written
    symbols[length++] = Math.floor(counts[word] / HALF)
    symbols[length++] = counts[word] % HALF
    for (let i = 0; i < written; i++) symbols[length++] = byteIds[bytes[i]]
    total += written * counts[word]
    if (word % MANY === MANY - 1) yield
  }
  return new Symbols(symbols.subarray(0, length + LINE), places, total)
}
