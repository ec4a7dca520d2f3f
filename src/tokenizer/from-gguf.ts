/**
 * A tokenizer from the metadata of a GGUF file: an embedded tokenizer.json, byte-level BPE
 * (`tokenizer.ggml.model` gpt2), SentencePiece BPE (llama), or none.
 *
 * Two gaps of published files are filled here. BitNet b1.58 2B-4T's file names no pre-tokenizer; its
 * vocabulary is Llama 3's, so its rule is too. And token types may be missing, in which case Llama 3's
 * 256 special tokens are known by their place.
 */
import { isWhole } from '../checks.ts'
import { FormatError } from '../errors.ts'
import type { AddedToken } from './added-tokens.ts'
import { byteLevelParts } from './byte-level-json.ts'
import {
  chooseTemplate,
  collectStopIds,
  isBogusTemplate,
  LLAMA3_BASE_SIZE,
  LLAMA3_VOCAB_SIZE,
} from './chat-format.ts'
import { createTokenizer } from './create.ts'
import { tokenizerFromJson } from './from-json.ts'
import {
  type GgufMetadata,
  type GgufVocabulary,
  readBoolean,
  readGgufVocabulary,
  readId,
  readNumbers,
  readStrings,
  readText,
  TOKEN_TYPE,
} from './gguf-vocabulary.ts'
import { checkCount, checkTemplate, MAX_ADDED_TOKENS, MAX_MERGES, MAX_PIECES } from './limits.ts'
import { numericTokenizer } from './numeric.ts'
import { PRE_TOKENIZERS, type PreTokenizer } from './pre-tokenizers.ts'
import { sentencePieceEncoder } from './sentencepiece.ts'
import type { TextTokenizer } from './text-tokenizer.ts'
import { Vocabulary } from './vocabulary.ts'
import { type WordEncoder, wordEncoder } from './word-encoder.ts'

const ARCHITECTURES_OF_2B4T: ReadonlySet<unknown> = new Set(['bitnet-25', 'bitnet-b1.58'])

/**
 * @param origin where the keys came from, for people
 * @throws FormatError naming the key that is damaged or not supported
 */
export function tokenizerFromGguf(metadata: GgufMetadata, origin = 'GGUF'): TextTokenizer {
  const embedded = readText(metadata, 'tokenizer.huggingface.json')
  if (embedded !== undefined) return fromEmbedded(embedded, metadata)
  const model = readText(metadata, 'tokenizer.ggml.model')
  switch (model) {
    case 'gpt2':
      return fromByteLevel(metadata, origin)
    case 'llama':
      return fromSentencePiece(metadata, origin)
    case undefined:
    case 'none':
    case 'no_vocab':
      return numericTokenizer(readVocabSize(metadata))
    default:
      throw new FormatError(
        `Expected tokenizer.ggml.model to be gpt2 or llama, got "${model.slice(0, 60)}". ` +
          'Vocabularies of this kind are not supported; use a file that embeds its tokenizer.json.',
        { field: 'tokenizer.ggml.model' },
      )
  }
}

function fromEmbedded(text: string, metadata: GgufMetadata): TextTokenizer {
  const field = 'tokenizer.huggingface.json'
  let tokenizerJson: unknown
  try {
    tokenizerJson = JSON.parse(text)
  } catch (cause) {
    throw new FormatError(
      `Expected ${field} to be JSON, but it cannot be parsed. The file is damaged; fetch it again.`,
      { field, cause },
    )
  }
  const { bosId, eosId, addEos, stopIds, template } = readSpecials(metadata, MAX_PIECES)
  const endId = addEos ? eosId : undefined
  return tokenizerFromJson({
    tokenizerJson,
    declared: {
      bosId,
      stopIds,
      endId,
      addBos: readBoolean(metadata, 'tokenizer.ggml.add_bos_token'),
    },
    chatTemplate: template,
    config: is2B4T(metadata) ? { model_type: 'bitnet' } : {},
    origin: 'tokenizer.json in GGUF',
  })
}

function fromByteLevel(metadata: GgufMetadata, source: string): TextTokenizer {
  const vocabulary = withLlama3Types(readGgufVocabulary(metadata))
  const { pieces } = vocabulary
  const { pre, origin } = readPreTokenizer(metadata, pieces.length)
  const merges = readStrings(metadata, 'tokenizer.ggml.merges', MAX_MERGES)
  if (merges === undefined) {
    throw new FormatError(
      'Expected tokenizer.ggml.merges in a file with a gpt2 vocabulary, got no such key. ' +
        'The file is damaged; fetch it again.',
      { field: 'tokenizer.ggml.merges' },
    )
  }
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]))
  const encodeWords = wordEncoder(byteLevelParts(vocab, merges, pre), undefined)
  return assemble(metadata, vocabulary, {
    kind: `${source}: byte-level BPE, ${origin}`,
    encodeWords,
    notation: 'byte-level',
    addBosDefault: pre.addBos,
    unknownId: readId(metadata, 'tokenizer.ggml.unknown_token_id', pieces.length),
    dropLeadingSpace: false,
  })
}

/**
 * How the text is cut before merging.
 *
 * @throws FormatError if the file names a way that is not known
 */
export function readPreTokenizer(
  metadata: GgufMetadata,
  vocabSize: number,
): { pre: PreTokenizer; origin: string } {
  const named = readText(metadata, 'tokenizer.ggml.pre')
  const assumed = vocabSize === LLAMA3_VOCAB_SIZE ? 'llama-bpe' : 'default'
  const pre = PRE_TOKENIZERS.get(named ?? assumed)
  if (pre === undefined) {
    throw new FormatError(
      `Expected tokenizer.ggml.pre to be one of ${[...PRE_TOKENIZERS.keys()].join(', ')}, ` +
        `got "${named?.slice(0, 60)}". Use a file that embeds its tokenizer.json.`,
      { field: 'tokenizer.ggml.pre' },
    )
  }
  return { pre, origin: named ?? `${assumed} (not named in the file)` }
}

function fromSentencePiece(metadata: GgufMetadata, source: string): TextTokenizer {
  const vocabulary = readGgufVocabulary(metadata)
  const { pieces } = vocabulary
  const scores = readNumbers(metadata, 'tokenizer.ggml.scores', pieces.length)
  if (scores === undefined) {
    throw new FormatError(
      'Expected tokenizer.ggml.scores in a file with a llama vocabulary, got no such key. ' +
        'The file is damaged; fetch it again.',
      { field: 'tokenizer.ggml.scores' },
    )
  }
  // 0 is the unknown token of every SentencePiece model that does not say otherwise.
  const unknownId = readId(metadata, 'tokenizer.ggml.unknown_token_id', pieces.length) ?? 0
  const addSpacePrefix = readBoolean(metadata, 'tokenizer.ggml.add_space_prefix') ?? true
  return assemble(metadata, vocabulary, {
    kind: `${source}: SentencePiece BPE`,
    encodeWords: sentencePieceEncoder({ ...vocabulary, scores, unknownId, addSpacePrefix }),
    notation: 'metaspace',
    addBosDefault: true,
    unknownId,
    dropLeadingSpace: addSpacePrefix,
  })
}

interface Kind {
  readonly kind: string
  readonly encodeWords: WordEncoder
  readonly notation: 'byte-level' | 'metaspace'
  readonly addBosDefault: boolean
  readonly unknownId: number | undefined
  readonly dropLeadingSpace: boolean
}

function assemble(
  metadata: GgufMetadata,
  { pieces, types }: GgufVocabulary,
  { kind, notation, addBosDefault, ...rest }: Kind,
): TextTokenizer {
  const addedTokens: AddedToken[] = []
  for (const [id, content] of pieces.entries()) {
    const special = types[id] === TOKEN_TYPE.control || types[id] === TOKEN_TYPE.unknown
    if (special || types[id] === TOKEN_TYPE.userDefined) addedTokens.push({ id, content, special })
  }
  checkCount(addedTokens.length, 'tokenizer.ggml.token_type', MAX_ADDED_TOKENS)
  const { bosId, eosId, addEos, stopIds, eosText, template } = readSpecials(
    metadata,
    pieces.length,
    pieces,
  )
  const isCorrected = template !== undefined && isBogusTemplate(template)
  return createTokenizer({
    ...rest,
    description: `${kind}, ${pieces.length} tokens${isCorrected ? '; chat template corrected' : ''}`,
    vocabulary: new Vocabulary(pieces, {
      notation,
      byteFallback: true,
      literal: new Map(addedTokens.map(({ id, content }) => [id, content])),
    }),
    addedTokens,
    bosId,
    addBos: readBoolean(metadata, 'tokenizer.ggml.add_bos_token') ?? addBosDefault,
    stopIds: collectStopIds(stopIds, addedTokens),
    endId: addEos ? eosId : undefined,
    chatTemplate: chooseTemplate(template, {
      isBitnet: is2B4T(metadata),
      vocabSize: pieces.length,
    }),
    templateTokens: eosText === undefined ? {} : { eos_token: eosText },
  })
}

function readSpecials(metadata: GgufMetadata, limit: number, pieces: readonly string[] = []) {
  const id = (name: string) => readId(metadata, `tokenizer.ggml.${name}_token_id`, limit)
  const eosId = id('eos')
  const template = metadata.get('tokenizer.chat_template')
  return {
    bosId: id('bos'),
    eosId,
    addEos: readBoolean(metadata, 'tokenizer.ggml.add_eos_token') ?? false,
    stopIds: [eosId, id('eot'), id('eom')].filter((stop) => stop !== undefined),
    eosText: eosId === undefined ? undefined : pieces[eosId],
    template:
      template === undefined ? undefined : checkTemplate(template, 'tokenizer.chat_template'),
  }
}

/** Marks Llama 3's special tokens as such where the file does not. */
function withLlama3Types({ pieces, types }: GgufVocabulary): GgufVocabulary {
  if (pieces.length !== LLAMA3_VOCAB_SIZE) return { pieces, types }
  const marked = Uint8Array.from(types)
  for (let id = LLAMA3_BASE_SIZE; id < LLAMA3_VOCAB_SIZE; id++) {
    if (/^<\|.*\|>$/.test(pieces[id])) marked[id] = TOKEN_TYPE.control
  }
  return { pieces, types: marked }
}

function is2B4T(metadata: GgufMetadata): boolean {
  return ARCHITECTURES_OF_2B4T.has(metadata.get('general.architecture'))
}

function readVocabSize(metadata: GgufMetadata): number {
  const architecture = readText(metadata, 'general.architecture') ?? ''
  const key = `${architecture}.vocab_size`
  const size = metadata.get(key)
  if (isWhole(size, 1, MAX_PIECES)) return size
  throw new FormatError(
    `Expected a vocabulary, or ${key} to tell its size from 1 to ${MAX_PIECES}, got neither. ` +
      'The file cannot be used with text; use one with a tokenizer.',
    { field: key },
  )
}
