/**
 * How a vocabulary turns text between added tokens into ids, and its pieces back into text: byte-level
 * BPE by merges or by ranks, SentencePiece BPE by scores, or whatever a tokenizer.json describes.
 */
import { textToAlphabet } from './byte-alphabet.ts'
import { mergeEncoder } from './merge-encoder.ts'
import { BYTE_LEVEL, BYTE_PIECE, type Decoding } from './piece-bytes.ts'
import { LLAMA3_SPLIT } from './pre-tokenizers.ts'
import { byteLevelParts, checkMerges, readDecoding } from './tokenizer-json.ts'
import { TOKEN_TYPE, type Vocabulary } from './vocabulary.ts'
import { damaged } from './vocabulary-limits.ts'
import { splitter, type WordEncoder, wordEncoder } from './word-encoder.ts'

/** Both ways between text and ids. */
export interface Words extends Decoding {
  readonly encode: WordEncoder
}

/** Words are short and repeat; the cache starts anew when it is full. */
const MAX_CACHED_WORDS = 20_000
const MAX_CACHED_WORD_CHARS = 64

const bytesOf = new TextEncoder()

/** @throws FormatError naming the part of the vocabulary that is damaged or not supported */
export function wordsOf(vocabulary: Vocabulary): Words {
  const { model, pieces } = vocabulary
  switch (model.kind) {
    case 'tokenizer.json': {
      checkMerges(model.model)
      const encode = wordEncoder(model.json, vocabulary.templateTokens.eos_token)
      return { ...readDecoding(model.json), encode }
    }
    case 'merges': {
      const ids = Object.fromEntries(pieces.map((piece, id) => [piece, id]))
      const parts = byteLevelParts(ids, model.merges, model.pre)
      return { ...BYTE_LEVEL, encode: wordEncoder(parts, undefined) }
    }
    case 'ranks':
      return { ...BYTE_LEVEL, encode: rankEncoder(vocabulary) }
    case 'scores': {
      const { scores, addSpacePrefix } = model
      return {
        notation: 'metaspace',
        byteFallback: true,
        dropLeadingSpace: addSpacePrefix,
        encode: scoreEncoder(vocabulary, scores, addSpacePrefix),
      }
    }
  }
}

/** Ids by piece, of equal pieces the first, without those that `isText` leaves out. */
export function idsByPiece(
  { pieces, types }: Vocabulary,
  isText: (type: number) => boolean,
): Map<string, number> {
  const ids = new Map<string, number>()
  for (const [id, piece] of pieces.entries()) {
    if (piece && isText(types[id]) && !ids.has(piece)) ids.set(piece, id)
  }
  return ids
}

/** A piece's rank is its id, as in tiktoken. */
function rankEncoder(vocabulary: Vocabulary): WordEncoder {
  const ids = idsByPiece(vocabulary, (type) => type === TOKEN_TYPE.normal)
  const merge = mergeEncoder(ids, (id) => id)
  const split = splitter(LLAMA3_SPLIT)
  const cache = new Map<string, readonly number[]>()
  const encodeWord = (word: string): readonly number[] => {
    const known = cache.get(word)
    if (known !== undefined) return known
    const piece = textToAlphabet(word)
    const whole = ids.get(piece)
    const out: number[] = whole === undefined ? [] : [whole]
    // Llama 3 has all 256 bytes as pieces; a file without them cannot show such a byte.
    if (whole === undefined) merge(piece, out, () => {})
    if (cache.size >= MAX_CACHED_WORDS) cache.clear()
    if (word.length <= MAX_CACHED_WORD_CHARS) cache.set(word, out)
    return out
  }
  return (text) => split(text).flatMap(encodeWord)
}

/**
 * SentencePiece BPE: U+2581 for a space, and a piece `<0x0A>` for each byte that no other piece covers.
 *
 * @throws FormatError unless there are all byte pieces or a token for unknown characters
 */
function scoreEncoder(
  vocabulary: Vocabulary,
  scores: ArrayLike<number>,
  addSpacePrefix: boolean,
): WordEncoder {
  const { pieces, types, unknownId } = vocabulary
  const { byte: byteType, control, unknown } = TOKEN_TYPE
  const ids = idsByPiece(vocabulary, (type) => ![byteType, control, unknown].includes(type))
  const byteIds = new Map<number, number>()
  for (const [id, piece] of pieces.entries()) {
    const byte = types[id] === byteType ? BYTE_PIECE.exec(piece ?? '') : null
    if (byte !== null) byteIds.set(Number.parseInt(byte[1], 16), id)
  }
  if (byteIds.size < 256 && unknownId === undefined) {
    throw damaged(
      'tokenizer.ggml.unknown_token_id',
      `Expected 256 byte pieces or an unknown token, got ${byteIds.size} byte pieces only.`,
    )
  }
  const merge = mergeEncoder(ids, (id) => -scores[id])
  return (text) => {
    const out: number[] = []
    const spaced = addSpacePrefix ? ` ${text}` : text
    merge(spaced.replaceAll(' ', '\u2581'), out, (character) => {
      for (const byte of bytesOf.encode(character)) {
        const id = byteIds.get(byte) ?? unknownId
        if (id !== undefined) out.push(id)
      }
    })
    return out
  }
}
