/**
 * Byte pair encoding by a list of merges, with what tokenizer.json may ask of it beside.
 */
import { FormatError } from '../../errors.ts'
import { MANY, SOME, type Steps } from '../../steps.ts'
import { bytePiece } from '../piece-bytes.ts'
import type { MergeList } from '../tokenizer-json.ts'
import { damaged } from '../vocabulary-limits.ts'
import { Merges } from './merges.ts'

/** Appends the ids of a word to `out`. */
export type EncodeWord = (word: string, out: number[]) => Steps<void>

export interface BpeOptions {
  readonly vocab: ReadonlyMap<string, number>
  readonly merges: MergeList
  /** Merges of pieces that the vocabulary lacks are passed over; else they are an error. */
  readonly skipsStrangers?: boolean
  /** Stands for characters that the vocabulary lacks; such characters are dropped without it. */
  readonly unknown: string | undefined
  /** Neighbours that are unknown become one unknown token. */
  readonly fuseUnknown: boolean
  /** Characters that the vocabulary lacks become their bytes, if it has these. */
  readonly byteFallback: boolean
  /** A word that is a piece is taken as it is. */
  readonly ignoreMerges: boolean
  /** In front of symbols within a word. */
  readonly prefix: string
  /** Behind the last symbol of a word. */
  readonly suffix: string
}

const utf8 = new TextEncoder()

/** @throws FormatError naming `model.merges` if a merge is of pieces that the vocabulary lacks */
export function* bpeEncoder(options: BpeOptions): Steps<EncodeWord> {
  const { vocab, ignoreMerges, prefix, suffix } = options
  const merges = yield* mergesById(options)
  const isPlain = prefix === '' && suffix === ''
  const symbolsOf = isPlain ? plainSymbols(options) : undefined
  return function* (word, out) {
    const whole = ignoreMerges ? vocab.get(word) : undefined
    if (whole !== undefined) {
      out.push(whole)
      return
    }
    const plain = symbolsOf && (yield* symbolsOf(word))
    const symbols = plain ?? (yield* allSymbols(options, word))
    for (const id of yield* merges.apply(symbols)) out.push(id)
  }
}

function* mergesById({ vocab, merges, skipsStrangers, prefix }: BpeOptions): Steps<Merges> {
  const list = new Merges(merges.count)
  let turn = 0
  for (const [left, right] of merges.pairs) {
    if (++turn % SOME === 0) yield
    const [leftId, rightId] = [vocab.get(left), vocab.get(right)]
    const joined = vocab.get(left + right.slice(prefix.length))
    if (leftId !== undefined && rightId !== undefined && joined !== undefined) {
      list.add(leftId, rightId, joined)
    } else if (skipsStrangers !== true) {
      const missing = leftId === undefined || rightId === undefined ? 'one' : 'the whole'
      const shown = JSON.stringify([left.slice(0, 40), right.slice(0, 40)])
      throw damaged(
        'model.merges',
        `Expected the tokenizer's merges to join pieces to pieces, got ${shown}, ` +
          `of which ${missing} is not in the vocabulary.`,
      )
    }
  }
  return list
}

/** The symbols of a word whose characters are all pieces; undefined of any other. */
function plainSymbols({ vocab }: BpeOptions) {
  return function* (word: string): Steps<number[] | undefined> {
    const symbols: number[] = []
    for (const character of word) {
      const id = vocab.get(character)
      if (id === undefined) return undefined
      symbols.push(id)
      if (symbols.length % MANY === 0) yield
    }
    return symbols
  }
}

/** The symbols of any word. */
function* allSymbols(options: BpeOptions, word: string): Steps<number[]> {
  const { vocab, prefix, suffix, byteFallback } = options
  const symbols: number[] = []
  // An unknown token waits for what it may be fused with, and bytes overtake it, as in the Rust library.
  let waiting: number | undefined
  const flush = () => {
    if (waiting !== undefined) symbols.push(waiting)
    waiting = undefined
  }
  const characters = [...word]
  for (const [i, character] of characters.entries()) {
    if (i % MANY === MANY - 1) yield
    const isLast = i === characters.length - 1
    const symbol = (i === 0 ? '' : prefix) + character + (isLast ? suffix : '')
    const id = vocab.get(symbol)
    if (id !== undefined) {
      flush()
      symbols.push(id)
      continue
    }
    const bytes = byteFallback ? byteIds(vocab, symbol) : undefined
    if (bytes !== undefined) {
      symbols.push(...bytes)
      continue
    }
    if (options.unknown === undefined) continue
    if (!options.fuseUnknown) flush()
    waiting ??= unknownId(options)
  }
  flush()
  return symbols
}

/** Ids of the bytes of a text; undefined unless the vocabulary has them all. */
export function byteIds(vocab: ReadonlyMap<string, number>, text: string): number[] | undefined {
  const ids: number[] = []
  for (const byte of utf8.encode(text)) {
    const id = vocab.get(bytePiece(byte))
    if (id === undefined) return undefined
    ids.push(id)
  }
  return ids
}

function unknownId({ vocab, unknown }: BpeOptions): number {
  const id = vocab.get(unknown as string)
  if (id !== undefined) return id
  throw new FormatError(
    `Expected the unknown token ${JSON.stringify(unknown?.slice(0, 60))} in model.vocab, for a text ` +
      'with characters that the vocabulary lacks, got no such piece. Fetch tokenizer.json again.',
    { field: 'model.unk_token' },
  )
}
