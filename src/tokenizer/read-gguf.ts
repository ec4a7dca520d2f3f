/**
 * The vocabulary of a GGUF file, from its metadata: an embedded tokenizer.json, byte-level BPE
 * (`tokenizer.ggml.model` gpt2) or SentencePiece BPE (llama).
 *
 * Two gaps of published files are filled here. BitNet b1.58 2B-4T's file names no pre-tokenizer; its
 * vocabulary is Llama 3's, so its rule is too. And token types may be missing, in which case Llama 3's
 * 256 special tokens are known by their place.
 */
import { messageOf } from '../checks.ts'
import { FormatError } from '../errors.ts'
import { MAX_VOCABULARY_MARKS, parseJsonTextSteps } from '../formats/json-text.ts'
import type { Steps } from '../steps.ts'
import { LLAMA3_BASE_SIZE, LLAMA3_VOCAB_SIZE } from './chat-format.ts'
import {
  type GgufMetadata,
  readBoolean,
  readId,
  readNumbers,
  readStrings,
  readText,
} from './gguf-keys.ts'
import { PRE_TOKENIZERS, type PreTokenizer } from './pre-tokenizers.ts'
import { readJsonVocabulary } from './read-json.ts'
import { addedByType, TOKEN_TYPE, type Vocabulary } from './vocabulary.ts'
import { checkTemplate, damaged, MAX_MERGES, MAX_PIECES } from './vocabulary-limits.ts'

/** Of conversations, and of those with tools where they have another one. */
export const TEMPLATE_KEY = 'tokenizer.chat_template'
export const TOOL_TEMPLATE_KEY = 'tokenizer.chat_template.tool_use'

const ARCHITECTURES_OF_2B4T: ReadonlySet<unknown> = new Set(['bitnet-25', 'bitnet-b1.58'])

/**
 * @returns undefined if the file says that it has none
 * @throws FormatError naming the key that is damaged or not supported
 */
export function* readGgufVocabulary(metadata: GgufMetadata): Steps<Vocabulary | undefined> {
  const embedded = readText(metadata, 'tokenizer.huggingface.json')
  if (embedded !== undefined) return yield* readEmbedded(embedded, metadata)
  const model = readText(metadata, 'tokenizer.ggml.model')
  switch (model) {
    case 'gpt2':
      return readByteLevel(metadata)
    case 'llama':
      return readScored(metadata)
    case undefined:
    case 'none':
    case 'no_vocab':
      return undefined
    default:
      throw new FormatError(
        `Expected tokenizer.ggml.model to be gpt2 or llama, got "${model.slice(0, 60)}". ` +
          'Vocabularies of this kind are not supported; use a file that embeds its tokenizer.json.',
        { field: 'tokenizer.ggml.model' },
      )
  }
}

/**
 * Ids with a meaning, each below `limit`; `ends` are those that end an answer, the foremost first.
 *
 * @throws FormatError naming the key of an id that is none
 */
export function readSpecialIds(metadata: GgufMetadata, limit: number) {
  const id = (name: string) => readId(metadata, `tokenizer.ggml.${name}_token_id`, limit)
  const [bosId, eosId, padId] = [id('bos'), id('eos'), id('padding')]
  const endIds = [eosId, id('eot'), id('eom')].filter((end) => end !== undefined)
  const addsEos = readBoolean(metadata, 'tokenizer.ggml.add_eos_token') ?? false
  return { bosId, eosId, padId, endIds, appendedId: addsEos ? eosId : undefined }
}

function* readEmbedded(text: string, metadata: GgufMetadata): Steps<Vocabulary> {
  const field = 'tokenizer.huggingface.json'
  let tokenizerJson: unknown
  try {
    tokenizerJson = yield* parseJsonTextSteps(text, MAX_VOCABULARY_MARKS)
  } catch (cause) {
    throw damaged(field, `Expected ${field} to be ${messageOf(cause)}.`, cause)
  }
  const declared = {
    ...readSpecialIds(metadata, MAX_PIECES),
    addBos: readBoolean(metadata, 'tokenizer.ggml.add_bos_token'),
  }
  const config = is2B4T(metadata) ? { model_type: 'bitnet' } : {}
  const vocabulary = yield* readJsonVocabulary(
    { tokenizerJson, config },
    declared,
    'tokenizer.json in GGUF',
  )
  return {
    ...vocabulary,
    ...readChatTemplates(metadata),
    templateTokens: endForTemplates(vocabulary.pieces, declared.eosId),
  }
}

function readByteLevel(metadata: GgufMetadata): Vocabulary {
  const pieces = readPieces(metadata)
  const { pre, origin } = readPreTokenizer(metadata, pieces.length)
  const merges = readStrings(metadata, 'tokenizer.ggml.merges', MAX_MERGES)
  if (merges === undefined) throw missing('tokenizer.ggml.merges', 'gpt2')
  const types = readTypes(metadata, pieces)
  return {
    ...readCommon(metadata, pieces, markLlama3Specials(pieces, types), pre.addBos),
    description: `GGUF: byte-level BPE, ${origin}`,
    model: { kind: 'merges', merges, pre },
    unknownId: readId(metadata, 'tokenizer.ggml.unknown_token_id', pieces.length),
  }
}

function readScored(metadata: GgufMetadata): Vocabulary {
  const pieces = readPieces(metadata)
  const scores = readNumbers(metadata, 'tokenizer.ggml.scores', pieces.length)
  if (scores === undefined) throw missing('tokenizer.ggml.scores', 'llama')
  const addSpacePrefix = readBoolean(metadata, 'tokenizer.ggml.add_space_prefix') ?? true
  return {
    ...readCommon(metadata, pieces, readTypes(metadata, pieces), true),
    description: 'GGUF: SentencePiece BPE',
    model: { kind: 'scores', scores, addSpacePrefix },
    // 0 is the unknown token of every SentencePiece model that does not say otherwise.
    unknownId: readId(metadata, 'tokenizer.ggml.unknown_token_id', pieces.length) ?? 0,
  }
}

/** What both kinds have. `addBos` is what the kind does where the file does not say. */
function readCommon(
  metadata: GgufMetadata,
  pieces: readonly string[],
  types: ArrayLike<number>,
  addBos: boolean,
) {
  const ids = readSpecialIds(metadata, pieces.length)
  return {
    ...ids,
    pieces,
    types,
    addedTokens: addedByType(pieces, types, 'tokenizer.ggml.token_type'),
    addBos: readBoolean(metadata, 'tokenizer.ggml.add_bos_token') ?? addBos,
    ...readChatTemplates(metadata),
    isBitnet: is2B4T(metadata),
    templateTokens: endForTemplates(pieces, ids.eosId),
  } satisfies Partial<Vocabulary>
}

/** Files name the other texts that templates may ask for nowhere. */
function endForTemplates(
  pieces: Vocabulary['pieces'],
  eosId: number | undefined,
): Vocabulary['templateTokens'] {
  const text = eosId === undefined ? undefined : pieces[eosId]
  return text === undefined ? {} : { eos_token: text }
}

function readPieces(metadata: GgufMetadata): readonly string[] {
  const key = 'tokenizer.ggml.tokens'
  const pieces = readStrings(metadata, key, MAX_PIECES)
  if (pieces !== undefined && pieces.length > 0) return pieces
  const got = pieces === undefined ? 'no such key' : 'an empty list'
  throw damaged(key, `Expected ${key} to list the vocabulary's pieces, got ${got}.`)
}

/** All normal where the file has none. */
function readTypes(metadata: GgufMetadata, { length }: readonly string[]): ArrayLike<number> {
  const types = readNumbers(metadata, 'tokenizer.ggml.token_type', length)
  return types ?? new Uint8Array(length).fill(TOKEN_TYPE.normal)
}

/** Marks Llama 3's special tokens as such where the file does not. */
function markLlama3Specials(
  pieces: readonly string[],
  types: ArrayLike<number>,
): ArrayLike<number> {
  if (pieces.length !== LLAMA3_VOCAB_SIZE) return types
  const marked = Uint8Array.from(types)
  for (let id = LLAMA3_BASE_SIZE; id < LLAMA3_VOCAB_SIZE; id++) {
    if (/^<\|.*\|>$/.test(pieces[id])) marked[id] = TOKEN_TYPE.control
  }
  return marked
}

/** How the text is cut before merging. */
function readPreTokenizer(
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

function readChatTemplates(
  metadata: GgufMetadata,
): Pick<Vocabulary, 'chatTemplate' | 'toolTemplate'> {
  const read = (key: string) => {
    const template = metadata.get(key)
    return template === undefined ? undefined : checkTemplate(template, key)
  }
  return { chatTemplate: read(TEMPLATE_KEY), toolTemplate: read(TOOL_TEMPLATE_KEY) }
}

function is2B4T(metadata: GgufMetadata): boolean {
  return ARCHITECTURES_OF_2B4T.has(metadata.get('general.architecture'))
}

function missing(key: string, kind: string): FormatError {
  return damaged(key, `Expected ${key} in a file with a ${kind} vocabulary, got no such key.`)
}
