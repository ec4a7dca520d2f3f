/**
 * The vocabulary of SentencePiece's `tokenizer.model`, a protocol buffer (sentencepiece_model.proto):
 * pieces with scores and types, the ids of the special ones, and whether a space goes in front of a text.
 * Its piece types are numbered as GGUF's, which were taken from there.
 */
import { isObject, type JsonObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import { SOME, type Steps } from '../steps.ts'
import { type CharsMap, readCharsMap } from './pipeline/chars-map.ts'
import { eosIds, type FilesBeside, readTemplates } from './read-json.ts'
import { addedByType, TOKEN_TYPE, type Vocabulary } from './vocabulary.ts'
import { checkCount, checkId, damaged, MAX_PIECE_CHARS, MAX_PIECES } from './vocabulary-limits.ts'

const utf8 = new TextDecoder()

/** Of `TrainerSpec.model_type`: the only algorithm that score-ordered merging stands for. */
const BPE = 2

/** @throws FormatError if the file is damaged or was not trained as BPE */
export function* readSentencePiece(file: Uint8Array, beside: FilesBeside = {}): Steps<Vocabulary> {
  const pieces: string[] = []
  const scores: number[] = []
  const types: number[] = []
  // The proto's defaults, of which the first is Unigram.
  let modelType = 1
  let [unknownId, bosId, eosId] = [0, 1, 2]
  // What a file leaves out is on.
  let [addSpacePrefix, removesSpaces, escapesSpaces] = [true, true, true]
  let charsMap: CharsMap | undefined
  for (const field of fieldsOf(file)) {
    if (field.number === 1) {
      const piece = readPiece(field.bytes)
      pieces.push(piece.text)
      scores.push(piece.score)
      types.push(piece.type)
      checkCount(pieces.length, 'tokenizer.model', MAX_PIECES)
      if (pieces.length % SOME === 0) yield
    } else if (field.number === 2) {
      for (const { number, value } of fieldsOf(field.bytes)) {
        if (number === 3) modelType = value
        else if (number === 40) unknownId = value
        else if (number === 41) bosId = value
        else if (number === 42) eosId = value
        else if (number === 24 && value !== 0) throw unequal('treat_whitespace_as_suffix')
      }
    } else if (field.number === 3) {
      for (const { number, value, bytes } of fieldsOf(field.bytes)) {
        if (number === 2) charsMap = tableOf(bytes)
        else if (number === 3) addSpacePrefix = value !== 0
        else if (number === 4) removesSpaces = value !== 0
        else if (number === 5) escapesSpaces = value !== 0
      }
    } else if (field.number === 5) {
      for (const { number, bytes } of fieldsOf(field.bytes)) {
        if (number === 2 && bytes.length > 0) throw unequal('denormalizer_spec')
      }
    }
  }
  if (pieces.length === 0) throw broken('it has no pieces')
  if (!escapesSpaces) throw unequal('escape_whitespaces: false')
  if (modelType !== BPE) {
    throw new FormatError(
      `Expected tokenizer.model to be a BPE model (type ${BPE}), got type ${modelType}. ` +
        'Use the tokenizer.json of the same model.',
      { field: 'trainer_spec.model_type' },
    )
  }
  for (const { id, content } of addedTokens(beside.tokenizerConfig)) {
    // Ids between the last piece and this one stand for nothing.
    while (pieces.length <= id) {
      pieces.push('')
      scores.push(0)
      types.push(TOKEN_TYPE.unused)
    }
    pieces[id] = content
    types[id] = TOKEN_TYPE.control
  }
  // Negative: none.
  const known = (id: number, name: string) =>
    id < 0 ? undefined : checkId(id, `tokenizer.ggml.${name}_token_id`, pieces.length)
  const [configured] = [
    ...eosIds(beside.generationConfig, 'generation_config.json'),
    ...eosIds(beside.config, 'config.json'),
  ]
  const end = known(configured ?? eosId, 'eos')
  const addBos = beside.tokenizerConfig?.add_bos_token
  return {
    description: 'tokenizer.model: SentencePiece BPE',
    pieces,
    types,
    addedTokens: addedByType(pieces, types, 'tokenizer.model'),
    model: {
      ...{ kind: 'scores', scores, addSpacePrefix, removesSpaces },
      ...(charsMap && { charsMap }),
    },
    bosId: known(bosId, 'bos'),
    addBos: typeof addBos === 'boolean' ? addBos : true,
    eosId: end,
    padId: undefined,
    unknownId: known(unknownId, 'unknown') ?? 0,
    endIds: end === undefined ? [] : [end],
    appendedId: undefined,
    ...readTemplates(beside),
    isBitnet: false,
    templateTokens: end === undefined ? {} : { eos_token: pieces[end] },
  }
}

/** Tokens that tokenizer_config.json adds to the model's own. */
function addedTokens(config: JsonObject | undefined): { id: number; content: string }[] {
  const listed = config?.added_tokens_decoder
  if (!isObject(listed)) return []
  return Object.entries(listed).flatMap(([key, value]) => {
    if (!isObject(value) || typeof value.content !== 'string' || value.special !== true) return []
    const id = checkId(Number(key), 'added_tokens_decoder', MAX_PIECES)
    return [{ id, content: value.content }]
  })
}

/** A setting whose effect is known and not given here. */
function unequal(setting: string): FormatError {
  return new FormatError(
    `Expected tokenizer.model without ${setting}, as a text would become other tokens than in training. ` +
      'Use the tokenizer.json of the same model.',
    { field: setting },
  )
}

/** Models whose normalisation is "identity" have an empty one. */
function tableOf(bytes: Uint8Array): CharsMap | undefined {
  return bytes.length === 0 ? undefined : readCharsMap(bytes, 'precompiled_charsmap')
}

function readPiece(bytes: Uint8Array): { text: string; score: number; type: number } {
  let text = ''
  let score = 0
  let type = 1
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) {
      // UTF-16 never has more units than UTF-8 has bytes.
      if (field.bytes.length > MAX_PIECE_CHARS) throw broken('a piece is too long')
      text = utf8.decode(field.bytes)
    } else if (field.number === 2 && field.bytes.length === 4) {
      score = new DataView(field.bytes.buffer, field.bytes.byteOffset).getFloat32(0, true)
    } else if (field.number === 3) type = field.value
  }
  if (!Number.isFinite(score)) throw broken('a score is no number')
  return { text, score, type }
}

interface Field {
  readonly number: number
  /** Of a varint; else 0. */
  readonly value: number
  /** Of everything else. */
  readonly bytes: Uint8Array
}

const NO_BYTES = new Uint8Array(0)
/** Lengths of the kinds of fields that do not tell theirs. */
const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  [1, 8],
  [5, 4],
])

/** The fields of one message, in order. */
function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  let at = 0
  const varint = (): number => {
    // At most 10 bytes; what matters here fits the low 32 bits, -1 included.
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= bytes.length) throw broken('it is cut short')
      const byte = bytes[at++]
      if (shift < 32) value |= (byte & 127) << shift
      if (byte < 128) return value
    }
    throw broken('a number is too long')
  }
  const take = (length: number): Uint8Array => {
    if (length < 0 || length > bytes.length - at) throw broken('it is cut short')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = varint()
    const number = tag >>> 3
    const kind = tag & 7
    if (kind === 0) {
      yield { number, value: varint(), bytes: NO_BYTES }
      continue
    }
    const length = kind === 2 ? varint() : FIXED_BYTES.get(kind)
    if (length === undefined) throw broken('it has a field of an unknown kind')
    yield { number, value: 0, bytes: take(length) }
  }
}

function broken(why: string): FormatError {
  const field = 'tokenizer.model'
  return damaged(field, `Expected ${field} to be a SentencePiece model, but ${why}.`)
}
