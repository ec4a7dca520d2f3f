/**
 * Unigram: of all ways to cut a text into pieces the one whose scores add up to the most (Kudo 2018), found
 * from left to right. Characters without a piece cost 10 more than the worst piece.
 */
import { FormatError } from '../../errors.ts'
import { MANY, SOME, type Steps } from '../../steps.ts'
import { byteIds, type EncodeWord } from './bpe.ts'
import { PairTable } from './pair-table.ts'

export interface UnigramOptions {
  /** Pieces with their scores, by id. */
  readonly pieces: readonly (readonly [string, number])[]
  readonly unknownId: number | undefined
  readonly byteFallback: boolean
}

const UNKNOWN_PENALTY = 10

export function* unigramEncoder({
  pieces,
  unknownId,
  byteFallback,
}: UnigramOptions): Steps<EncodeWord> {
  const ids = new Map<string, number>()
  let units = 0
  for (const [id, [piece]] of pieces.entries()) {
    // Of equal pieces the last counts, as in the Rust library.
    ids.set(piece, id)
    units += piece.length
  }
  const trie = new Trie(units)
  for (const [piece, id] of ids) {
    trie.add(piece, id)
    if (id % SOME === 0) yield
  }
  const scores = Float64Array.from(pieces, ([, score]) => score)
  const unknownScore =
    scores.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY) - UNKNOWN_PENALTY

  /** By place: where the best last piece begins, -1 if nothing ends there, and which it is. */
  function* bestPath(text: string): Steps<{ starts: Int32Array; lastIds: Int32Array }> {
    const best = new Float64Array(text.length + 1)
    const starts = new Int32Array(text.length + 1).fill(-1)
    const lastIds = new Int32Array(text.length + 1)
    const offer = (start: number, end: number, score: number, id: number) => {
      if (starts[end] >= 0 && best[end] >= best[start] + score) return
      best[end] = best[start] + score
      starts[end] = start
      lastIds[end] = id
    }
    for (let start = 0, turn = 0; start < text.length; ) {
      if (++turn % MANY === 0) yield
      const next = start + ((text.codePointAt(start) as number) > 0xffff ? 2 : 1)
      let hasOne = false
      let node = 0
      for (let end = start; end < text.length; ) {
        node = trie.child(node, text.charCodeAt(end++))
        if (node < 0) break
        const id = trie.idAt(node)
        if (id < 0) continue
        offer(start, end, scores[id], id)
        hasOne ||= end === next
      }
      if (!hasOne) offer(start, next, unknownScore, unknownId ?? missingUnknown())
      start = next
    }
    return { starts, lastIds }
  }

  return function* (text, out) {
    const { starts, lastIds } = yield* bestPath(text)
    // From the end; neighbours that are unknown become one.
    const cuts: string[] = []
    let unknownEnd = -1
    let end = text.length
    for (let turn = 0; end > 0; ) {
      if (++turn % MANY === 0) yield
      const start = starts[end]
      if (lastIds[end] === unknownId) {
        if (unknownEnd < 0) unknownEnd = end
      } else {
        if (unknownEnd >= 0) cuts.push(text.slice(end, unknownEnd))
        unknownEnd = -1
        cuts.push(text.slice(start, end))
      }
      end = start
    }
    if (unknownEnd >= 0) cuts.push(text.slice(0, unknownEnd))
    for (const cut of cuts.reverse()) {
      const id = ids.get(cut)
      const bytes = id === undefined && byteFallback ? byteIds(ids, cut) : undefined
      if (bytes === undefined) out.push(id ?? unknownId ?? missingUnknown())
      else for (const byte of bytes) out.push(byte)
      if (out.length % MANY === 0) yield
    }
  }
}

function missingUnknown(): never {
  throw new FormatError(
    'Expected model.unk_id, for a text with characters that the vocabulary lacks, got none. ' +
      'Fetch tokenizer.json again.',
    { field: 'model.unk_id' },
  )
}

/** Pieces by their code units. */
class Trie {
  readonly #children: PairTable
  readonly #ids: number[] = [-1]

  /** @param units of all pieces */
  constructor(units: number) {
    this.#children = new PairTable(units)
  }

  add(piece: string, id: number): void {
    let node = 0
    for (let i = 0; i < piece.length; i++) {
      let child = this.child(node, piece.charCodeAt(i))
      if (child < 0) {
        child = this.#ids.push(-1) - 1
        this.#children.set(node, piece.charCodeAt(i), child)
      }
      node = child
    }
    // An empty piece is never met.
    if (node > 0) this.#ids[node] = id
  }

  child(node: number, unit: number): number {
    return this.#children.get(node, unit)
  }

  /** The id of the piece that ends at a node, -1 if none does. */
  idAt(node: number): number {
    return this.#ids[node]
  }
}
