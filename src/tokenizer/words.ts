/**
 * How a vocabulary turns text between added tokens into ids, and its pieces back into text: byte-level
 * BPE by merges or by ranks, SentencePiece BPE by scores, or whatever a tokenizer.json describes.
 */
import { isWhole } from '../checks.ts'
import { MANY, SOME, type Steps } from '../steps.ts'
import { mergeEncoder } from './merge-encoder.ts'
import { BYTE_LEVEL, BYTE_PIECE, bytesOfPieces, type Decoding } from './piece-bytes.ts'
import { bpeEncoder, type EncodeWord } from './pipeline/bpe.ts'
import { longestPieces } from './pipeline/chars-map.ts'
import { decoderOf } from './pipeline/decoders.ts'
import { type EncodeNormal, jsonEncoder, wordsEncoder } from './pipeline/json-model.ts'
import { type Normalize, normalizerOf } from './pipeline/normalizers.ts'
import { preTokenizerOf } from './pipeline/pre-tokenize.ts'
import { LLAMA3_SPLIT } from './regex/known.ts'
import { bytesDecoder, type IdDecoder, streamDecoder } from './token-stream.ts'
import { byteLevelCuts } from './tokenizer-json.ts'
import { TOKEN_TYPE, type Vocabulary, type WordModel } from './vocabulary.ts'
import { damaged } from './vocabulary-limits.ts'

/** Both ways between text and ids. */
export interface Words {
  /** What is done to text before it is encoded; some added tokens are looked for in the result. */
  readonly normalize: Normalize | undefined
  readonly encode: EncodeNormal
  readonly decoder: IdDecoder
}

const bytesOf = new TextEncoder()
/** How SentencePiece writes a space. */
const MARK = '\u2581'

/** @throws FormatError naming the part of the vocabulary that is damaged or not supported */
export function* wordsOf(vocabulary: Vocabulary): Steps<Words> {
  const { model } = vocabulary
  switch (model.kind) {
    case 'tokenizer.json':
      return yield* jsonWords(vocabulary, model)
    case 'merges':
    case 'ranks':
      return {
        normalize: undefined,
        encode: yield* model.kind === 'ranks'
          ? rankEncoder(vocabulary)
          : mergesEncoder(vocabulary, model),
        decoder: decoderByBytes(vocabulary, BYTE_LEVEL),
      }
    case 'scores': {
      return {
        normalize: scoreNormalizer(model),
        encode: yield* scoreEncoder(vocabulary, model.scores),
        decoder: decoderByBytes(vocabulary, {
          notation: 'metaspace',
          byteFallback: true,
          dropLeadingSpace: model.addSpacePrefix,
        }),
      }
    }
  }
}

/** As SentencePiece does: its table, spaces that are too many, the space in front, and how spaces are written. */
function scoreNormalizer({
  addSpacePrefix,
  removesSpaces = false,
  charsMap,
}: Extract<WordModel, { kind: 'scores' }>): Normalize {
  const piecesOf =
    charsMap === undefined ? (text: string) => [{ text, isMapped: false }] : longestPieces(charsMap)
  const prefix = addSpacePrefix ? MARK : ''
  const written = (text: string) => text.replaceAll(' ', MARK)
  if (!removesSpaces) {
    return function* (text) {
      let mapped = ''
      let turn = 0
      for (const { text: piece } of piecesOf(text)) {
        mapped += written(piece)
        if (++turn % MANY === 0) yield
      }
      return { text: prefix + mapped, keepsStart: true }
    }
  }
  return function* (given) {
    let text = ''
    let isBehindSpace = true
    let turn = 0
    for (const { text: piece, isMapped } of piecesOf(given)) {
      if (++turn % MANY === 0) yield
      if (piece === '') continue
      // What the table gives for one character keeps its own spaces, but for those behind another one.
      const single = isMapped ? piece : piece.replaceAll(/ +/g, ' ')
      text += isBehindSpace ? withoutSpacesAtStart(single) : single
      isBehindSpace = piece.endsWith(' ')
    }
    let end = text.length
    // Marks that were in the text look like spaces by then.
    while (end > 0 && (text[end - 1] === ' ' || text[end - 1] === MARK)) end--
    const isEmpty = end === 0
    return {
      text: isEmpty ? '' : prefix + written(text.slice(0, end)),
      keepsStart: !given.startsWith(' '),
    }
  }
}

function withoutSpacesAtStart(text: string): string {
  let start = 0
  while (text[start] === ' ') start++
  return text.slice(start)
}

function* jsonWords(
  { pieces }: Vocabulary,
  { json, model, ids }: Extract<WordModel, { kind: 'tokenizer.json' }>,
): Steps<Words> {
  return {
    normalize: normalizerOf(json.normalizer),
    encode: yield* jsonEncoder(json, model, ids),
    decoder: jsonDecoder(pieces, json.decoder),
  }
}

function jsonDecoder(pieces: Vocabulary['pieces'], decoder: unknown): IdDecoder {
  const open = decoderOf(decoder)
  // Bytes of a piece are remembered there, which is faster.
  if (open === 'byte-level')
    return bytesDecoder(bytesOfPieces(pieces, new Map(), BYTE_LEVEL), false)
  const pieceOf = (id: number) =>
    (isWhole(id, 0, pieces.length - 1) ? pieces[id] : undefined) ?? '\ufffd'
  return streamDecoder((continues) => {
    const { push, end } = open(continues)
    return { push: (id) => push(pieceOf(id)), end }
  }, pieceOf)
}

function decoderByBytes({ pieces, addedTokens }: Vocabulary, decoding: Decoding): IdDecoder {
  const literal = new Map(addedTokens.map(({ id, content }) => [id, content]))
  return bytesDecoder(bytesOfPieces(pieces, literal, decoding), decoding.dropLeadingSpace)
}

/** Ids by piece, of equal pieces the first, without those that `isText` leaves out. */
export function* idsByPiece(
  { pieces, types }: Vocabulary,
  isText: (type: number) => boolean,
): Steps<Map<string, number>> {
  const ids = new Map<string, number>()
  for (const [id, piece] of pieces.entries()) {
    if (id % SOME === SOME - 1) yield
    if (piece && isText(types[id]) && !ids.has(piece)) ids.set(piece, id)
  }
  return ids
}

/** Byte-level BPE of GGUF. Merges of pieces that it lacks cannot be made. */
function* mergesEncoder(
  { pieces }: Vocabulary,
  { merges, pre }: Extract<WordModel, { kind: 'merges' }>,
): Steps<EncodeNormal> {
  const vocab = new Map<string, number>()
  for (const [id, piece] of pieces.entries()) {
    vocab.set(piece ?? '', id)
    if (id % SOME === SOME - 1) yield
  }
  const encode = yield* bpeEncoder({
    vocab,
    merges: { count: merges.length, pairs: ggufPairs(merges) },
    skipsStrangers: true,
    unknown: undefined,
    fuseUnknown: false,
    byteFallback: false,
    ignoreMerges: pre.ignoreMerges,
    prefix: '',
    suffix: '',
  })
  return wordsEncoder(preTokenizerOf(byteLevelCuts(pre.splits)), encode)
}

/** The space at which a merge is cut is never its first character. */
function* ggufPairs(merges: readonly string[]): Generator<readonly [string, string]> {
  for (const merge of merges) {
    const at = merge.indexOf(' ', 1)
    if (at > 0) yield [merge.slice(0, at), merge.slice(at + 1)]
  }
}

/** A piece's rank is its id, as in tiktoken. */
function* rankEncoder(vocabulary: Vocabulary): Steps<EncodeNormal> {
  const ids = yield* idsByPiece(vocabulary, (type) => type === TOKEN_TYPE.normal)
  const merge = mergeEncoder(ids, (id) => id)
  const encode: EncodeWord = function* (piece, out) {
    const whole = ids.get(piece)
    if (whole !== undefined) out.push(whole)
    // Llama 3 has all 256 bytes as pieces; a file without them cannot show such a byte.
    else yield* merge(piece, out, () => {})
  }
  return wordsEncoder(preTokenizerOf(byteLevelCuts([LLAMA3_SPLIT])), encode)
}

/**
 * SentencePiece BPE: U+2581 for a space, and a piece `<0x0A>` for each byte that no other piece covers.
 *
 * @throws FormatError unless there are all byte pieces or a token for unknown characters
 */
function* scoreEncoder(vocabulary: Vocabulary, scores: ArrayLike<number>): Steps<EncodeNormal> {
  const { pieces, types, unknownId } = vocabulary
  const { byte: byteType, control, unknown } = TOKEN_TYPE
  const ids = yield* idsByPiece(vocabulary, (type) => ![byteType, control, unknown].includes(type))
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
  return function* (text) {
    const out: number[] = []
    yield* merge(text, out, (character) => {
      for (const byte of bytesOf.encode(character)) {
        const id = byteIds.get(byte) ?? unknownId
        if (id !== undefined) out.push(id)
      }
    })
    return out
  }
}
