/**
 * GGUF's tokenizer keys from a tokenizer.json: pieces by id, their types, merges or scores, and the
 * ids with a meaning.
 *
 * tokenizer.json is stored whole as well, under `tokenizer.huggingface.json`: GGUF names only a handful
 * of pre-tokenizers and cannot describe others, so for any other model the keys alone are not enough.
 */
import { isObject, isWhole, type JsonObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import type { GgufTypedValue } from '../formats/gguf/index.ts'
import type { TokenizerFiles } from '../formats/model-file.ts'
import { chooseTemplate, LLAMA3_VOCAB_SIZE } from '../tokenizer/chat-format.ts'
import { PRE_TOKENIZERS } from '../tokenizer/pre-tokenizers.ts'

export type MetadataEntry = readonly [string, GgufTypedValue]

/** ggml's token types. */
const NORMAL = 1
const CONTROL = 3
const USER_DEFINED = 4
const UNUSED = 5
const BYTE = 6

/** Given to pre-tokenizers without a name; other programs refuse it instead of guessing. */
const UNNAMED_PRE = 'tokenizer.huggingface.json'

interface VocabularyKeys {
  readonly addBos: MetadataEntry
  /** In the order of the published 2B-4T file, from `tokenizer.ggml.model` to the chat template. */
  readonly core: readonly MetadataEntry[]
  /** What that file does not have. */
  readonly additions: readonly MetadataEntry[]
}

interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special: boolean
}

/**
 * @param config config.json, which may name the ids that the tokenizer's own files leave open
 * @param vocabSize rows of the embedding; pieces are filled up to it
 * @throws FormatError if tokenizer.json is damaged, of another kind than BPE, or larger than that
 */
export function vocabularyKeys(
  files: TokenizerFiles,
  config: JsonObject,
  vocabSize: number,
): VocabularyKeys {
  const { tokenizerJson, tokenizerConfig = {}, generationConfig = {} } = files
  if (tokenizerJson === undefined) {
    return {
      addBos: ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
      core: [['tokenizer.ggml.model', { type: 'string', value: 'no_vocab' }]],
      additions: [],
    }
  }
  const model = objectAt(tokenizerJson, 'model')
  const added = readAddedTokens(tokenizerJson, vocabSize)
  const pieces = readPieces(model, added, vocabSize)
  const merges = readMerges(model)
  const isByteLevel = model['byte_fallback'] !== true
  const bos = idOf(added, pieces, config['bos_token_id'], tokenizerConfig['bos_token'])
  const eos = idOf(added, pieces, config['eos_token_id'], tokenizerConfig['eos_token'])
  const pad = idOf(added, pieces, config['pad_token_id'], tokenizerConfig['pad_token'])
  const ends = endIds(config, generationConfig, added, eos)

  const core: MetadataEntry[] = [
    ['tokenizer.ggml.model', { type: 'string', value: isByteLevel ? 'gpt2' : 'llama' }],
    ['tokenizer.ggml.tokens', { type: 'array', of: 'string', value: pieces }],
    [
      'tokenizer.ggml.scores',
      {
        type: 'array',
        of: 'f32',
        value: isByteLevel ? new Float32Array(vocabSize) : mergeScores(pieces, merges),
      },
    ],
    [
      'tokenizer.ggml.token_type',
      { type: 'array', of: 'i32', value: tokenTypes(pieces, added, isByteLevel) },
    ],
    [
      'tokenizer.ggml.merges',
      { type: 'array', of: 'string', value: merges.map(([a, b]) => `${a} ${b}`) },
    ],
  ]
  addId(core, 'bos', bos)
  addId(core, 'eos', ends[0])
  addId(core, 'padding', pad ?? ends[0])
  const template = chatTemplate(files, config, vocabSize)
  if (template !== undefined) {
    core.push(['tokenizer.chat_template', { type: 'string', value: template }])
  }

  const additions: MetadataEntry[] = []
  addId(additions, 'eot', ends[1])
  addId(additions, 'eom', ends[2])
  if (isByteLevel && vocabSize !== LLAMA3_VOCAB_SIZE) {
    const pre = preTokenizerName(tokenizerJson)
    additions.push(['tokenizer.ggml.pre', { type: 'string', value: pre }])
  }
  if (appendsToken(tokenizerJson, ends[0])) {
    additions.push(['tokenizer.ggml.add_eos_token', { type: 'bool', value: true }])
  }
  const whole = JSON.stringify(tokenizerJson)
  additions.push(['tokenizer.huggingface.json', { type: 'string', value: whole }])
  const addBos = addsBos(tokenizerConfig, tokenizerJson)
  return {
    addBos: ['tokenizer.ggml.add_bos_token', { type: 'bool', value: addBos }],
    core,
    additions,
  }
}

function addId(entries: MetadataEntry[], name: string, id: number | undefined): void {
  if (id !== undefined) {
    entries.push([`tokenizer.ggml.${name}_token_id`, { type: 'u32', value: id }])
  }
}

function readAddedTokens(json: JsonObject, vocabSize: number): AddedToken[] {
  const list = json['added_tokens'] ?? []
  if (!Array.isArray(list)) throw damaged('added_tokens', 'a list')
  return list.map((token: unknown): AddedToken => {
    const fields = isObject(token) ? token : {}
    const { id, content, special } = fields
    if (typeof id !== 'number' || !isIdBelow(id, vocabSize) || typeof content !== 'string') {
      throw damaged('added_tokens', `tokens with ids below ${vocabSize}`)
    }
    return { id, content, special: special === true }
  })
}

/** Pieces by id; ids that nothing claims become unused pieces of their own. */
function readPieces(model: JsonObject, added: readonly AddedToken[], vocabSize: number): string[] {
  if (model['type'] !== undefined && model['type'] !== 'BPE') throw damaged('model.type', '"BPE"')
  const pieces = Array.from({ length: vocabSize }, (_, id) => `[PAD${id}]`)
  for (const [piece, id] of Object.entries(objectAt(model, 'vocab'))) {
    if (!isIdBelow(id, vocabSize)) throw damaged('model.vocab', `ids below ${vocabSize}`)
    pieces[id] = piece
  }
  for (const { id, content } of added) pieces[id] = content
  return pieces
}

/** As pairs; written either as "a b" or as ["a", "b"]. */
function readMerges(model: JsonObject): [string, string][] {
  const merges = model['merges']
  if (!Array.isArray(merges)) throw damaged('model.merges', 'a list')
  return merges.map((merge: unknown): [string, string] => {
    const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge
    if (Array.isArray(parts) && parts.length === 2) {
      const [a, b]: unknown[] = parts
      if (typeof a === 'string' && typeof b === 'string') return [a, b]
    }
    throw damaged('model.merges', 'pairs of pieces')
  })
}

/** SentencePiece compares scores where tokenizer.json compares ranks: earlier merges score higher. */
function mergeScores(pieces: readonly string[], merges: readonly [string, string][]): Float32Array {
  const ranks = new Map<string, number>()
  for (const [rank, [a, b]] of merges.entries()) {
    if (!ranks.has(a + b)) ranks.set(a + b, rank)
  }
  return Float32Array.from(pieces, (piece) => -(ranks.get(piece) ?? 0))
}

function tokenTypes(
  pieces: readonly string[],
  added: readonly AddedToken[],
  isByteLevel: boolean,
): Int32Array {
  const types = Int32Array.from(pieces, (piece, id) => {
    if (piece === `[PAD${id}]`) return UNUSED
    return !isByteLevel && /^<0x[0-9A-F]{2}>$/.test(piece) ? BYTE : NORMAL
  })
  for (const { id, special } of added) types[id] = special ? CONTROL : USER_DEFINED
  return types
}

/** The id a config names, or that of the token whose text the tokenizer's config names. */
function idOf(
  added: readonly AddedToken[],
  pieces: readonly string[],
  id: unknown,
  token: unknown,
): number | undefined {
  const first: unknown = Array.isArray(id) ? id[0] : id
  if (isIdBelow(first, pieces.length)) return first
  const text = isObject(token) ? token['content'] : token
  return added.find(({ content }) => content === text)?.id
}

/** All ids that end an answer: the declared ones first, then the end of a turn. */
function endIds(
  config: JsonObject,
  generationConfig: JsonObject,
  added: readonly AddedToken[],
  eos: number | undefined,
): number[] {
  const listed = [config['eos_token_id'], generationConfig['eos_token_id']].flat()
  const turn = added.filter(({ content }) => content === '<|eot_id|>' || content === '<|im_end|>')
  const ids = [eos, ...listed, ...turn.map(({ id }) => id)]
  return [...new Set(ids.filter((id) => isIdBelow(id, Number.MAX_SAFE_INTEGER)))]
}

/** Of chat_template.jinja, or else of tokenizer_config.json. */
function chatTemplate(
  { chatTemplate: beside, tokenizerConfig = {} }: TokenizerFiles,
  config: JsonObject,
  vocabSize: number,
): string | undefined {
  const given: unknown = beside ?? tokenizerConfig['chat_template']
  const named: unknown = Array.isArray(given)
    ? given.find((entry: unknown) => isObject(entry) && entry['name'] === 'default')?.template
    : given
  const text = typeof named === 'string' ? named : undefined
  return chooseTemplate(text, { isBitnet: config['model_type'] === 'bitnet', vocabSize })
}

function addsBos(tokenizerConfig: JsonObject, tokenizerJson: JsonObject): boolean {
  const declared = tokenizerConfig['add_bos_token']
  if (typeof declared === 'boolean') return declared
  return templates(tokenizerJson).some(([first]) => isObject(first) && 'SpecialToken' in first)
}

/** Whether texts end in the token of this id, as those of embedding models do. */
function appendsToken(tokenizerJson: JsonObject, id: number | undefined): boolean {
  const added = Array.isArray(tokenizerJson['added_tokens']) ? tokenizerJson['added_tokens'] : []
  const content: unknown = added.find(
    (token: unknown) => isObject(token) && token['id'] === id,
  )?.content
  return templates(tokenizerJson).some((template) => {
    const last: unknown = template.at(-1)
    const token = isObject(last) ? last['SpecialToken'] : undefined
    return isObject(token) && content !== undefined && token['id'] === content
  })
}

/** What the post-processors make of a single text, in their order. */
function templates(tokenizerJson: JsonObject): unknown[][] {
  const processor = tokenizerJson['post_processor']
  const list: unknown[] =
    isObject(processor) && Array.isArray(processor['processors'])
      ? processor['processors']
      : [processor]
  return list.flatMap((entry) => {
    const single = isObject(entry) && entry['type'] === 'TemplateProcessing' && entry['single']
    return Array.isArray(single) ? [single] : []
  })
}

/** The GGUF name of the regular expressions that cut text into words. */
function preTokenizerName(tokenizerJson: JsonObject): string {
  const pre = tokenizerJson['pre_tokenizer']
  const list: unknown[] =
    isObject(pre) && Array.isArray(pre['pretokenizers']) ? pre['pretokenizers'] : [pre]
  const splits = list.flatMap((entry) => {
    const pattern = isObject(entry) && entry['type'] === 'Split' ? entry['pattern'] : undefined
    return isObject(pattern) ? [pattern['Regex']] : []
  })
  for (const [name, known] of PRE_TOKENIZERS) {
    const isEqual =
      known.splits.length === splits.length && known.splits.every((split, i) => split === splits[i])
    if (isEqual) return name
  }
  return UNNAMED_PRE
}

function objectAt(json: JsonObject, key: string): JsonObject {
  const value = json[key]
  if (isObject(value)) return value
  throw damaged(key, 'an object')
}

function isIdBelow(id: unknown, limit: number): id is number {
  return isWhole(id, 0, limit - 1)
}

function damaged(key: string, expected: string): FormatError {
  return new FormatError(
    `Expected ${expected} in ${key} of tokenizer.json, got something else. Fetch the file again, ` +
      'or take the tokenizer that belongs to these weights.',
    { field: `tokenizer.json ${key}` },
  )
}
