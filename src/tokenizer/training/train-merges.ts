/**
 * Byte pair encoding learnt from counted words (Sennrich et al. 2016): the two neighbours that come most often
 * become one piece, again and again. Only words with the pair are looked at again.
 */
import { MANY, type Steps } from '../../steps.ts'
import { BYTE_CHARACTERS } from '../byte-alphabet.ts'
import { type Merge, PairCounts, PairQueue } from './pair-counts.ts'
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
  const most = Math.max(pieces.length, options.pieces)
  const text = yield* symbolsOf(words, byteIds, most)
  const pairs = new PairCounts(most, text.length)
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
    pairs.beginMerge(merge)
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

/** Units before a word's symbols: how many there are, and how often it comes, in units of 16 bits. */
const HEADER = 5
const UNIT = 2 ** 16
/** Words that are fetched at a time: their places have no order, and memory has many of them on its way at once. */
const AHEAD = 32
/** 16-bit units of a line of most processors' caches. */
const LINE = 32

/** Half the memory where ids fit, which is what merging waits for. */
type Units = Uint16Array | Uint32Array

/** All words, each known by its place in one array: what is looked at together lies together. */
class Symbols {
  readonly #symbols: Units
  readonly places: Int32Array
  /** Of all words, each as often as it came. */
  readonly bytes: number
  /** Keeps what {@link touch} reads from being left out. */
  touched = 0

  constructor(symbols: Units, places: Int32Array, bytes: number) {
    this.#symbols = symbols
    this.places = places
    this.bytes = bytes
  }

  /** Units of all. */
  get length(): number {
    return this.#symbols.length
  }

  #countOf(word: number): number {
    const symbols = this.#symbols
    const low = symbols[word + 1] + symbols[word + 2] * UNIT
    const high = symbols[word + 3] + symbols[word + 4] * UNIT
    return low + high * (UNIT * UNIT)
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
    const last = end - 1
    let first = start
    while (first < last && (symbols[first] !== left || symbols[first + 1] !== right)) first++
    // Most words of a list have the pair, the others are not written to.
    if (first >= last) return end - start
    let to = first
    for (let at = first; at < end; at++) {
      if (symbols[at] !== left || at + 1 === end || symbols[at + 1] !== right) {
        symbols[to++] = symbols[at]
        continue
      }
      if (to > start) pairs.moveBefore(symbols[to - 1], count, word)
      if (at + 2 < end) pairs.moveBehind(symbols[at + 2], count, word)
      symbols[to++] = id
      at++
    }
    symbols[word] = to - start
    return end - start
  }
}

/** @param byteIds the id of each byte; @param pieces ids are below it */
function* symbolsOf(
  { characters, ends, counts }: CountedWords,
  byteIds: readonly number[],
  pieces: number,
): Steps<Symbols> {
  const places = new Int32Array(ends.length)
  const room = HEADER * ends.length + MOST_BYTES * characters.length + LINE
  const symbols = pieces > UNIT ? new Uint32Array(room) : new Uint16Array(room)
  let [length, total, start] = [0, 0, 0]
  for (let word = 0; word < ends.length; word++) {
    const count = counts[word]
    places[word] = length
    symbols[length + 1] = count % UNIT
    symbols[length + 2] = Math.floor(count / UNIT) % UNIT
    symbols[length + 3] = Math.floor(count / UNIT ** 2) % UNIT
    symbols[length + 4] = Math.floor(count / UNIT ** 3)
    const first = length + HEADER
    const end = writeBytes(characters, start, ends[word], byteIds, symbols, first)
    symbols[length] = end - first
    total += (end - first) * count
    length = end
    start = ends[word]
    if (word % MANY === MANY - 1) yield
  }
  return new Symbols(symbols.subarray(0, length + LINE), places, total)
}

/** Bytes of UTF-8 of a code unit, at most. */
const MOST_BYTES = 3
/** What a half of a pair alone is written as. */
const REPLACEMENT = 0xfffd

/** Writes the ids of a word's bytes of UTF-8; gives the place behind them. */
function writeBytes(
  characters: Uint16Array,
  start: number,
  end: number,
  byteIds: readonly number[],
  out: Units,
  first: number,
): number {
  let to = first
  for (let at = start; at < end; at++) {
    let point = characters[at]
    if (point < 0x80) {
      out[to++] = byteIds[point]
      continue
    }
    if (point < 0x800) {
      out[to++] = byteIds[0xc0 | (point >> 6)]
      out[to++] = byteIds[0x80 | (point & 0x3f)]
      continue
    }
    if ((point & 0xf800) === 0xd800) {
      const next = at + 1 < end ? characters[at + 1] : 0
      const isPair = point < 0xdc00 && (next & 0xfc00) === 0xdc00
      point = isPair ? 0x10000 + ((point & 0x3ff) << 10) + (next & 0x3ff) : REPLACEMENT
      if (isPair) at++
    }
    if (point < 0x10000) out[to++] = byteIds[0xe0 | (point >> 12)]
    else {
      out[to++] = byteIds[0xf0 | (point >> 18)]
      out[to++] = byteIds[0x80 | ((point >> 12) & 0x3f)]
    }
    out[to++] = byteIds[0x80 | ((point >> 6) & 0x3f)]
    out[to++] = byteIds[0x80 | (point & 0x3f)]
  }
  return to
}
