/**
 * SentencePiece BPE, which ranks pieces by scores, as the list of merges that tokenizer.json wants: each
 * way to make a piece of two others, best score first.
 */
import type { JsonObject } from '../checks.ts'
import { type GgufVocabulary, TOKEN_TYPE } from '../tokenizer/gguf-vocabulary.ts'

interface SentencePieceParts extends GgufVocabulary {
  /** By id; of two joins the one with the higher score is made first. */
  readonly scores: ArrayLike<number>
  /** Ids by piece, control tokens and bytes too. */
  readonly vocab: Readonly<Record<string, number>>
  readonly unknown: string
}

export function sentencePieceModel(parts: SentencePieceParts): JsonObject {
  return {
    type: 'BPE',
    dropout: null,
    unk_token: parts.unknown,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: true,
    vocab: parts.vocab,
    merges: mergesByScore(parts),
  }
}

interface Merge {
  readonly left: string
  readonly right: string
  readonly id: number
}

/** In the order in which they are to be tried. Both sides and the join are in the vocabulary. */
function mergesByScore({ pieces, types, scores }: SentencePieceParts): [string, string][] {
  const ids = new Map<string, number>()
  for (const [id, piece] of pieces.entries()) {
    const isText = types[id] === TOKEN_TYPE.normal
    if (isText && piece !== '' && !ids.has(piece)) ids.set(piece, id)
  }
  const merges: Merge[] = []
  for (const [piece, id] of ids) {
    const characters = [...piece]
    for (let cut = 1; cut < characters.length; cut++) {
      const left = characters.slice(0, cut).join('')
      const right = characters.slice(cut).join('')
      if (ids.has(left) && ids.has(right)) merges.push({ left, right, id })
    }
  }
  merges.sort((a, b) => scores[b.id] - scores[a.id] || a.id - b.id)
  return merges.map(({ left, right }) => [left, right])
}
