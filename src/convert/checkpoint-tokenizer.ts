/**
 * The files of a tokenizer beside a checkpoint, from the metadata of a GGUF file: tokenizer.json,
 * tokenizer_config.json and generation_config.json. A tokenizer.json that the file carries is taken as
 * it is; otherwise one is made of the vocabulary.
 */
import { fromFloat32, type JsonObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import type { GgufFile } from '../formats/model-file.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { byteLevelParts } from '../tokenizer/byte-level-json.ts'
import { chooseTemplate } from '../tokenizer/chat-format.ts'
import { readPreTokenizer } from '../tokenizer/from-gguf.ts'
import {
  type GgufVocabulary,
  readBoolean,
  readGgufVocabulary,
  readId,
  readNumbers,
  readStrings,
  readText,
  TOKEN_TYPE,
} from '../tokenizer/gguf-vocabulary.ts'
import { MAX_MERGES } from '../tokenizer/limits.ts'
import type { SideFile } from './conversion.ts'
import { sentencePieceModel } from './sentencepiece-merges.ts'

/** @throws FormatError naming the key that is damaged or not supported */
export function tokenizerFilesOf(file: GgufFile, config: ModelConfig): SideFile[] {
  const files: SideFile[] = [jsonFile('generation_config.json', generationConfig(file))]
  const kind = readText(file.metadata, 'tokenizer.ggml.model')
  const whole = readText(file.metadata, 'tokenizer.huggingface.json')
  if (whole === undefined && kind !== 'gpt2' && kind !== 'llama') return files
  const vocabulary = readGgufVocabulary(file.metadata)
  files.push(jsonFile('tokenizer_config.json', tokenizerConfig(file, config, vocabulary)))
  files.push(
    whole === undefined
      ? jsonFile('tokenizer.json', tokenizerJson(file, vocabulary, kind === 'gpt2'))
      : { name: 'tokenizer.json', bytes: new TextEncoder().encode(whole) },
  )
  return files
}

function jsonFile(name: string, value: JsonObject): SideFile {
  return { name, bytes: new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`) }
}

function ids({ metadata }: GgufFile, limit: number) {
  const id = (name: string) => readId(metadata, `tokenizer.ggml.${name}_token_id`, limit)
  return { bos: id('bos'), ends: [id('eos'), id('eot'), id('eom')], pad: id('padding') }
}

function generationConfig(file: GgufFile): JsonObject {
  const { bos, ends, pad } = ids(file, Number.MAX_SAFE_INTEGER)
  const stops = [...new Set(ends.filter((id) => id !== undefined))]
  const sampling = (key: string) => {
    const value = file.metadata.get(`general.sampling.${key}`)
    return typeof value === 'number' ? fromFloat32(value) : undefined
  }
  return withoutAbsent({
    bos_token_id: bos,
    eos_token_id: stops.length > 0 ? stops : undefined,
    pad_token_id: pad,
    do_sample: sampling('temp') === undefined ? undefined : true,
    temperature: sampling('temp'),
    top_p: sampling('top_p'),
    top_k: sampling('top_k'),
    repetition_penalty: sampling('penalty_repeat'),
  })
}

function tokenizerConfig(
  file: GgufFile,
  config: ModelConfig,
  { pieces }: GgufVocabulary,
): JsonObject {
  const { bos, ends, pad } = ids(file, pieces.length)
  const text = (id: number | undefined) => (id === undefined ? undefined : pieces[id])
  const isBitnet = config.architecture !== 'llama' && config.activation === 'relu2'
  return withoutAbsent({
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: text(bos),
    eos_token: text(ends[0]),
    pad_token: text(pad),
    add_bos_token: addsBos(file, pieces.length),
    clean_up_tokenization_spaces: false,
    model_max_length: config.contextLength,
    chat_template: chooseTemplate(readText(file.metadata, 'tokenizer.chat_template'), {
      isBitnet,
      vocabSize: config.vocabSize,
    }),
  })
}

function withoutAbsent(fields: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function addsBos({ metadata }: GgufFile, vocabSize: number): boolean {
  const declared = readBoolean(metadata, 'tokenizer.ggml.add_bos_token')
  if (declared !== undefined) return declared
  const isByteLevel = readText(metadata, 'tokenizer.ggml.model') === 'gpt2'
  return isByteLevel ? readPreTokenizer(metadata, vocabSize).pre.addBos : true
}

/** A tokenizer.json that gives the ids that the GGUF vocabulary gives. */
function tokenizerJson(
  file: GgufFile,
  vocabulary: GgufVocabulary,
  isByteLevel: boolean,
): JsonObject {
  const { pieces, types } = vocabulary
  const added: JsonObject[] = []
  const vocab: Record<string, number> = {}
  for (const [id, piece] of pieces.entries()) {
    const isAdded = isAddedType(types[id])
    if (isAdded) added.push(addedToken(id, piece, types[id] !== TOKEN_TYPE.userDefined))
    // SentencePiece models keep their control tokens in the vocabulary too.
    const isListed = isByteLevel ? !isAdded : types[id] !== TOKEN_TYPE.userDefined
    if (isListed && types[id] !== TOKEN_TYPE.unused && !Object.hasOwn(vocab, piece)) {
      define(vocab, piece, id)
    }
  }
  const parts = isByteLevel
    ? byteLevel(file, vocabulary, vocab)
    : sentencePiece(file, vocabulary, vocab)
  const { bos } = ids(file, pieces.length)
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    post_processor:
      bos !== undefined && addsBos(file, pieces.length) ? withBos(pieces[bos], bos) : null,
    ...parts,
  }
}

function isAddedType(type: number): boolean {
  return (
    type === TOKEN_TYPE.control || type === TOKEN_TYPE.unknown || type === TOKEN_TYPE.userDefined
  )
}

/** Also for a piece named "__proto__". */
function define(vocab: Record<string, number>, piece: string, id: number): void {
  Object.defineProperty(vocab, piece, { value: id, enumerable: true, configurable: true })
}

function addedToken(id: number, content: string, special: boolean): JsonObject {
  return {
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special,
  }
}

function withBos(bos: string, id: number): JsonObject {
  const token = { SpecialToken: { id: bos, type_id: 0 } }
  const [first, second] = ['A', 'B'].map((name, i) => ({ Sequence: { id: name, type_id: i } }))
  return {
    type: 'TemplateProcessing',
    single: [token, first],
    pair: [token, first, { SpecialToken: { id: bos, type_id: 1 } }, second],
    special_tokens: { [bos]: { id: bos, ids: [id], tokens: [bos] } },
  }
}

function byteLevel(
  { metadata }: GgufFile,
  { pieces }: GgufVocabulary,
  vocab: Readonly<Record<string, number>>,
): JsonObject {
  const merges = readStrings(metadata, 'tokenizer.ggml.merges', MAX_MERGES)
  if (merges === undefined) throw missing('tokenizer.ggml.merges')
  const { pre } = readPreTokenizer(metadata, pieces.length)
  const decoder = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true }
  return { ...byteLevelParts(vocab, merges, pre), decoder }
}

function sentencePiece(
  { metadata }: GgufFile,
  vocabulary: GgufVocabulary,
  vocab: Readonly<Record<string, number>>,
): JsonObject {
  const { pieces } = vocabulary
  const scores = readNumbers(metadata, 'tokenizer.ggml.scores', pieces.length)
  if (scores === undefined) throw missing('tokenizer.ggml.scores')
  const unknownId = readId(metadata, 'tokenizer.ggml.unknown_token_id', pieces.length) ?? 0
  const hasPrefix = readBoolean(metadata, 'tokenizer.ggml.add_space_prefix') ?? true
  const space = { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' }
  const prefix = { type: 'Prepend', prepend: '\u2581' }
  const decoders = [
    { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ]
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 }
  return {
    normalizer: { type: 'Sequence', normalizers: hasPrefix ? [prefix, space] : [space] },
    pre_tokenizer: null,
    decoder: { type: 'Sequence', decoders: hasPrefix ? [...decoders, strip] : decoders },
    model: sentencePieceModel({ ...vocabulary, scores, vocab, unknown: pieces[unknownId] }),
  }
}

function missing(field: string): FormatError {
  return new FormatError(`Expected ${field} in the file, got no such key. Fetch the file again.`, {
    field,
  })
}
