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
  for (let word = 0; word < words.ends.length; word++) {
    text.eachPair(word, (left, right) => pairs.add(left, right, words.counts[word], word))
    if (word % MANY === MANY - 1) yield
  }
  for (let pair = 0; pair < pairs.size; pair++) queue.push(pair)
  const merges: [string, string][] = []
  // Bytes of words that were gone over since others had their turn.
  let work = 0
  while (pieces.length < options.pieces) {
    const pair = queue.pop(Math.max(1, options.minFrequency))
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
    const risen = new Set<number>()
    for (const word of pairs.takeWords(pair)) {
      work += text.merge(word, { left, right, id, count: words.counts[word] }, pairs, risen)
      if (work < MANY * 8) continue
      work = 0
      yield
    }
    for (const own of risen) queue.push(own)
  }
  let [bytes, tokens] = [0, 0]
  for (const [word, count] of words.counts.entries()) {
    bytes += count * text.bytesOf(word)
    tokens += count * text.lengthOf(word)
  }
  return { pieces, merges, bytes, tokens }
}

interface Merge {
  readonly left: number
  readonly right: number
  readonly id: number
  readonly count: number
}

/** The symbols of all words, each in its own stretch of one array. */
class Symbols {
  readonly #symbols: Int32Array
  readonly #starts: Uint32Array
  readonly #lengths: Uint16Array

  constructor(symbols: Int32Array, starts: Uint32Array) {
    this.#symbols = symbols
    this.#starts = starts
    this.#lengths = Uint16Array.from(starts.subarray(1), (end, i) => end - starts[i])
  }

  lengthOf(word: number): number {
    return this.#lengths[word]
  }

  bytesOf(word: number): number {
    return this.#starts[word + 1] - this.#starts[word]
  }

  eachPair(word: number, visit: (left: number, right: number) => void): void {
    const start = this.#starts[word]
    const end = start + this.#lengths[word]
    for (let at = start + 1; at < end; at++) visit(this.#symbols[at - 1], this.#symbols[at])
  }

  /**
   * Merges a pair in a word, from left to right, and counts its neighbours anew.
   *
   * @param risen pairs that come more often now
   * @returns symbols that were looked at
   */
  merge(word: number, merge: Merge, pairs: PairCounts, risen: Set<number>): number {
    const { left, right, id, count } = merge
    const symbols = this.#symbols
    const start = this.#starts[word]
    const end = start + this.#lengths[word]
    let to = start
    for (let at = start; at < end; at++) {
      if (symbols[at] !== left || at + 1 === end || symbols[at + 1] !== right) {
        symbols[to++] = symbols[at]
        continue
      }
      if (to > start) {
        pairs.subtract(symbols[to - 1], left, count)
        risen.add(pairs.add(symbols[to - 1], id, count, word))
      }
      if (at + 2 < end) {
        pairs.subtract(right, symbols[at + 2], count)
        risen.add(pairs.add(id, symbols[at + 2], count, word))
      }
      symbols[to++] = id
      at++
    }
    this.#lengths[word] = to - start
    return end - start
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-16le', { ignoreBOM: true })

/** @param byteIds the id of each byte */
function* symbolsOf(words: CountedWords, byteIds: readonly number[]): Steps<Symbols> {
  const { characters, ends } = words
  const starts = new Uint32Array(ends.length + 1)
  let symbols = new Int32Array(1 << 16)
  let length = 0
  for (let word = 0; word < ends.length; word++) {
    const bytes = encoder.encode(
      decoder.decode(characters.subarray(word === 0 ? 0 : ends[word - 1], ends[word])),
    )
    if (length + bytes.length > symbols.length) {
      const larger = new Int32Array(2 * symbols.length)
      larger.set(symbols)
      symbols = larger
    }
    for (const byte of bytes) symbols[length++] = byteIds[byte]
    starts[word + 1] = length
    if (word % MANY === MANY - 1) yield
  }
  return new Symbols(symbols.subarray(0, length), starts)
}
