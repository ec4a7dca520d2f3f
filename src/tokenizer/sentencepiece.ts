/**
 * SentencePiece BPE as GGUF files of the Llama 2 family carry it: pieces with scores, U+2581 for a
 * space, and a piece `<0x0A>` for each byte that no other piece covers.
 */
import { FormatError } from '../errors.ts'
import { type GgufVocabulary, TOKEN_TYPE } from './gguf-vocabulary.ts'
import { MergeEncoder } from './merge-encoder.ts'
import type { WordEncoder } from './word-encoder.ts'

interface SentencePieceParts extends GgufVocabulary {
  /** By id; of two joins the one with the higher score is made first. */
  readonly scores: ArrayLike<number>
  readonly unknownId: number | undefined
  /** Put a space in front of each stretch of text, as in training. */
  readonly addSpacePrefix: boolean
}

const bytesOf = new TextEncoder()

/** @throws FormatError unless there are all byte pieces or a token for unknown characters */
export function sentencePieceEncoder(parts: SentencePieceParts): WordEncoder {
  const { pieces, types, scores, unknownId, addSpacePrefix } = parts
  const ids = new Map<string, number>()
  const byteIds = new Map<number, number>()
  for (const [id, piece] of pieces.entries()) {
    const type = types[id]
    if (type === TOKEN_TYPE.byte) {
      const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece)
      if (byte !== null) byteIds.set(Number.parseInt(byte[1], 16), id)
    } else if (type !== TOKEN_TYPE.control && type !== TOKEN_TYPE.unknown && piece !== '') {
      // Of equal pieces the first counts.
      if (!ids.has(piece)) ids.set(piece, id)
    }
  }
  if (byteIds.size < 256 && unknownId === undefined) {
    throw new FormatError(
      `Expected 256 byte pieces or an unknown token, got ${byteIds.size} byte pieces only. ` +
        'The file is damaged; fetch it again.',
      { field: 'tokenizer.ggml.unknown_token_id' },
    )
  }
  const merges = new MergeEncoder(ids, (id) => -scores[id])
  return (text) => {
    const out: number[] = []
    const spaced = addSpacePrefix ? ` ${text}` : text
    merges.encode(spaced.replaceAll(' ', '\u2581'), out, (character) => {
      for (const byte of bytesOf.encode(character)) {
        const id = byteIds.get(byte) ?? unknownId
        if (id !== undefined) out.push(id)
      }
    })
    return out
  }
}
