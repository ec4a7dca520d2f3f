/**
 * The files of a tokenizer beside a checkpoint, from the metadata of a GGUF file: tokenizer.json,
 * tokenizer_config.json and generation_config.json. A tokenizer.json that the file carries is taken as
 * it is; otherwise one is made of the vocabulary.
 */
import { fromFloat32, type JsonObject } from '../checks.ts'
import { MAX_VOCABULARY_MARKS, parseObject } from '../formats/json-text.ts'
import type { GgufFile } from '../formats/model-file.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { SAMPLING_KEYS } from '../model/config/sampling-defaults.ts'
import { chooseTemplate } from '../tokenizer/chat-format.ts'
import { readText } from '../tokenizer/gguf-keys.ts'
import { readGgufVocabulary, readSpecialIds } from '../tokenizer/read-gguf.ts'
import { bpeModel, byteLevelParts } from '../tokenizer/tokenizer-json.ts'
import { TOKEN_TYPE, type Vocabulary, type WordModel } from '../tokenizer/vocabulary.ts'
import { idsByPiece } from '../tokenizer/words.ts'
import { beginTemplate, withBeginToken } from './begin-token.ts'
import type { SideFile } from './conversion.ts'

/** @throws FormatError naming the key that is damaged or not supported */
export function tokenizerFilesOf(file: GgufFile, config: ModelConfig): SideFile[] {
  const files: SideFile[] = [jsonFile('generation_config.json', generationConfig(file))]
  const kind = readText(file.metadata, 'tokenizer.ggml.model')
  const whole = readText(file.metadata, 'tokenizer.huggingface.json')
  if (whole === undefined && kind !== 'gpt2' && kind !== 'llama') return files
  const vocabulary = readGgufVocabulary(file.metadata)
  if (vocabulary === undefined) return files
  files.push(jsonFile('tokenizer_config.json', tokenizerConfig(vocabulary, config)))
  files.push(
    whole === undefined
      ? jsonFile('tokenizer.json', tokenizerJson(vocabulary))
      : embeddedJson(whole, vocabulary),
  )
  return files
}

/** As the file carries it, but with the begin token where the file's keys have it. */
function embeddedJson(whole: string, { pieces, bosId, addBos }: Vocabulary): SideFile {
  const name = 'tokenizer.json'
  const begin = bosId === undefined ? undefined : pieces[bosId]
  const json = parseObject(whole, MAX_VOCABULARY_MARKS)
  const changed =
    json && begin !== undefined && bosId !== undefined
      ? withBeginToken(json, begin, bosId, addBos)
      : json
  if (changed === json || changed === undefined) {
    return { name, bytes: new TextEncoder().encode(whole) }
  }
  return jsonFile(name, changed)
}

function jsonFile(name: string, value: JsonObject): SideFile {
  return { name, bytes: new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`) }
}

function generationConfig({ metadata }: GgufFile): JsonObject {
  const { bosId, endIds, padId } = readSpecialIds(metadata, Number.MAX_SAFE_INTEGER)
  const sampling = SAMPLING_KEYS.flatMap(({ gguf, json }) => {
    const value = metadata.get(gguf)
    return typeof value === 'number' ? [[json, fromFloat32(value)] as const] : []
  })
  return withoutAbsent({
    bos_token_id: bosId,
    eos_token_id: endIds.length > 0 ? [...new Set(endIds)] : undefined,
    pad_token_id: padId,
    do_sample: sampling.some(([key]) => key === 'temperature') || undefined,
    ...Object.fromEntries(sampling),
  })
}

function tokenizerConfig(vocabulary: Vocabulary, config: ModelConfig): JsonObject {
  const { pieces, bosId, eosId, padId, addBos, chatTemplate } = vocabulary
  const text = (id: number | undefined) => (id === undefined ? undefined : pieces[id])
  const isBitnet = config.architecture !== 'llama' && config.activation === 'relu2'
  return withoutAbsent({
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: text(bosId),
    eos_token: text(eosId),
    pad_token: text(padId),
    add_bos_token: addBos,
    clean_up_tokenization_spaces: false,
    model_max_length: config.contextLength,
    chat_template: chooseTemplate(chatTemplate, { isBitnet, vocabSize: config.vocabSize }),
  })
}

function withoutAbsent(fields: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** A tokenizer.json that gives the ids that the GGUF vocabulary gives. */
function tokenizerJson(vocabulary: Vocabulary): JsonObject {
  const { pieces, addedTokens, model, bosId, addBos } = vocabulary
  const bos = bosId === undefined || !addBos ? undefined : pieces[bosId]
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens.map(({ id, content, special }) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special,
    })),
    normalizer: null,
    post_processor: bos === undefined || bosId === undefined ? null : beginTemplate(bos, bosId),
    ...(model.kind === 'scores' ? scored(vocabulary, model) : byteLevel(vocabulary, model)),
  }
}

function byteLevel(vocabulary: Vocabulary, model: WordModel): JsonObject {
  if (model.kind !== 'merges') throw new Error(`no tokenizer.json is made of ${model.kind}`)
  const { unknown, control, userDefined, unused } = TOKEN_TYPE
  const others = [unknown, control, userDefined, unused]
  const vocab = idsByPiece(vocabulary, (type) => !others.includes(type))
  const decoder = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true }
  return { ...byteLevelParts(Object.fromEntries(vocab), model.merges, model.pre), decoder }
}

function scored(
  vocabulary: Vocabulary,
  { scores, addSpacePrefix }: Extract<WordModel, { kind: 'scores' }>,
): JsonObject {
  const { pieces, unknownId = 0 } = vocabulary
  // SentencePiece models keep their control tokens in the vocabulary too.
  const { userDefined, unused } = TOKEN_TYPE
  const vocab = idsByPiece(vocabulary, (type) => type !== userDefined && type !== unused)
  const space = { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' }
  const prefix = { type: 'Prepend', prepend: '\u2581' }
  const decoders = [
    { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ]
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 }
  return {
    normalizer: { type: 'Sequence', normalizers: addSpacePrefix ? [prefix, space] : [space] },
    pre_tokenizer: null,
    decoder: { type: 'Sequence', decoders: addSpacePrefix ? [...decoders, strip] : decoders },
    model: bpeModel(pieces[unknownId], true, {
      vocab: Object.fromEntries(vocab),
      merges: mergesByScore(vocabulary, scores),
    }),
  }
}

/**
 * SentencePiece BPE, which ranks pieces by scores, as the list of merges that tokenizer.json wants: each
 * way to make a piece of two others, in the order in which they are to be tried. Both sides and the
 * join are pieces of text.
 */
function mergesByScore(vocabulary: Vocabulary, scores: ArrayLike<number>): [string, string][] {
  const ids = idsByPiece(vocabulary, (type) => type === TOKEN_TYPE.normal)
  const merges: { pair: [string, string]; id: number }[] = []
  for (const [piece, id] of ids) {
    const characters = [...piece]
    for (let cut = 1; cut < characters.length; cut++) {
      const left = characters.slice(0, cut).join('')
      const right = characters.slice(cut).join('')
      if (ids.has(left) && ids.has(right)) merges.push({ pair: [left, right], id })
    }
  }
  merges.sort((a, b) => scores[b.id] - scores[a.id] || a.id - b.id)
  return merges.map(({ pair }) => pair)
}
