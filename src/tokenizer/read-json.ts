/**
 * The vocabulary of a Hugging Face model: tokenizer.json, and what tokenizer_config.json,
 * generation_config.json and config.json add to it. Each count, id and text is checked before use.
 */
import { describe, isAbsent, isObject, isWhole, type JsonObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import type { TokenizerFiles } from '../formats/model-file.ts'
import { SOME, type Steps } from '../steps.ts'
import type { AddedToken } from './added-tokens.ts'
import { asList, asObject, readSurroundings } from './tokenizer-json.ts'
import { TOKEN_TYPE, type Vocabulary } from './vocabulary.ts'
import { namesOfTokens, textOf } from './vocabulary-files.ts'
import {
  checkCount,
  checkId,
  checkPiece,
  checkTemplate,
  MAX_ADDED_TOKENS,
  MAX_PIECES,
} from './vocabulary-limits.ts'

/** What lies beside a tokenizer, each parsed. */
export interface FilesBeside
  extends Pick<
    TokenizerFiles,
    'tokenizerConfig' | 'generationConfig' | 'chatTemplate' | 'specialTokensMap'
  > {
  /** The model's config.json. */
  readonly config?: JsonObject | undefined
}

/** A tokenizer.json with what lies beside it. */
export interface JsonTokenizerFiles extends FilesBeside {
  /** tokenizer.json, parsed. */
  readonly tokenizerJson: unknown
}

/** What another container of the same tokenizer says; goes before all files. */
type DeclaredTokens = {
  [K in 'bosId' | 'addBos' | 'eosId' | 'padId' | 'endIds' | 'appendedId']?:
    | Vocabulary[K]
    | undefined
}

/** Names under which templates ask for tokens. */
const TEMPLATE_TOKENS = [
  'eos_token',
  'pad_token',
  'unk_token',
  'sep_token',
  'cls_token',
  'mask_token',
] as const
/** Of several templates, those of conversations without tools and with some, as transformers names them. */
export const DEFAULT_TEMPLATE = 'default'
export const TOOL_TEMPLATE = 'tool_use'

/**
 * @param origin where the tokenizer.json came from, for people
 * @throws FormatError naming the part of the files that is damaged or not supported
 */
export function* readJsonVocabulary(
  files: JsonTokenizerFiles,
  declared: DeclaredTokens = {},
  origin = 'tokenizer.json',
): Steps<Vocabulary> {
  const { generationConfig, config } = files
  const tokenizerConfig = namesOfTokens(files)
  const json = asObject(files.tokenizerJson, 'tokenizer.json')
  const model = typedModel(asObject(json.model, 'model'))
  const pieces: (string | undefined)[] = []
  const ids = yield* (model.type === 'BPE' ? readVocab : readUnigramVocab)(model, pieces)
  const addedTokens = numbered(readAddedTokens(json.added_tokens), ids, pieces)
  for (const { id, content } of addedTokens) pieces[id] = content

  /** The id of the token whose text tokenizer_config.json gives under `name`. */
  const named = (name: string): number | undefined => {
    const text = textOf(tokenizerConfig[name])
    const added = addedTokens.find(({ content }) => content === text)
    return added?.id ?? (text === undefined ? undefined : ids.get(text))
  }
  const { front, back } = readSurroundings(json.post_processor)
  const bosId = declared.bosId ?? named('bos_token') ?? idIn(config?.bos_token_id ?? front[0])
  const addBos =
    declared.addBos ??
    asBoolean(tokenizerConfig.add_bos_token) ??
    (bosId !== undefined && front.includes(bosId))
  // The post_processor has it mostly, with other tokens or alone.
  const begins = bosId !== undefined && !front.includes(bosId)
  const eosId = named('eos_token')
  const ends = [...eosIds(config, 'config.json')]
  if (eosId !== undefined && ends.length === 0) ends.push(eosId)
  ends.push(...eosIds(generationConfig, 'generation_config.json'))
  if (eosId !== undefined) ends.push(eosId)
  const unknown = typeof model.unk_token === 'string' ? ids.get(model.unk_token) : model.unk_id
  return {
    description: `${origin}: ${model.type}`,
    pieces: Array.from(pieces),
    types: typesOf(pieces, addedTokens, model.byte_fallback === true),
    addedTokens,
    model: { kind: 'tokenizer.json', json, model, ids },
    bosId,
    addBos,
    frontIds: [
      ...(begins && addBos ? [bosId] : []),
      ...front.filter((id) => addBos || id !== bosId),
    ],
    eosId: declared.eosId ?? eosId,
    padId:
      declared.padId ?? (isWhole(config?.pad_token_id) ? config.pad_token_id : named('pad_token')),
    unknownId: idIn(unknown),
    endIds: [...new Set([...(declared.endIds ?? []), ...ends])],
    appendedId:
      declared.appendedId ?? (tokenizerConfig.add_eos_token === true ? eosId : onlyOne(back)),
    ...readTemplates(files),
    isBitnet: config?.model_type === 'bitnet',
    templateTokens: templateTokens(tokenizerConfig),
  }
}

/** @throws FormatError if there are several: what is embedded ends in one */
function onlyOne(back: readonly number[]): number | undefined {
  if (back.length <= 1) return back[0]
  throw new FormatError(
    `Expected a post_processor that puts at most one token behind a text, got ${back.length}. ` +
      'Models of this library use one or none.',
    { field: 'post_processor' },
  )
}

/** The model with its type, which older files leave out. */
function typedModel(model: JsonObject): JsonObject & { readonly type: 'BPE' | 'Unigram' } {
  const guess = Array.isArray(model.merges)
    ? 'BPE'
    : Array.isArray(model.vocab)
      ? 'Unigram'
      : 'none'
  const type = typeof model.type === 'string' ? model.type : guess
  if (type === 'BPE' || type === 'Unigram') return { ...model, type }
  throw new FormatError(
    `Expected a tokenizer.json of type BPE or Unigram, got ${type}. ` +
      'Models of this library use one of these.',
    { field: 'model.type' },
  )
}

/** Ids by piece; puts the pieces by id. */
function* readVocab(model: JsonObject, pieces: (string | undefined)[]): Steps<Map<string, number>> {
  const vocab = asObject(model.vocab, 'model.vocab')
  const ids = new Map<string, number>()
  // Pairs of entries would take more memory than the vocabulary, and all of it at once.
  for (const piece in vocab) {
    const id = checkId(vocab[piece], 'model.vocab', MAX_PIECES)
    ids.set(checkPiece(piece, 'model.vocab', ids.size), id)
    checkCount(ids.size, 'model.vocab', MAX_PIECES)
    pieces[id] = piece
    if (ids.size % SOME === 0) yield
  }
  return ids
}

/** Pieces with scores, in the order of their ids. */
function* readUnigramVocab(
  model: JsonObject,
  pieces: (string | undefined)[],
): Steps<Map<string, number>> {
  const entries = asList(model.vocab, 'model.vocab')
  checkCount(entries.length, 'model.vocab', MAX_PIECES)
  const ids = new Map<string, number>()
  for (const [id, entry] of entries.entries()) {
    if (id % SOME === SOME - 1) yield
    const [piece, score] = asList(entry, 'model.vocab')
    if (!Number.isFinite(score)) {
      throw new FormatError(
        `Expected a score for each piece of model.vocab, got ${describe(score)} at ${id}.`,
        { field: 'model.vocab' },
      )
    }
    ids.set(checkPiece(piece, 'model.vocab', id), id)
  }
  // Of equal pieces the last counts, and stands at its id alone.
  for (const [piece, id] of ids) pieces[id] = piece
  return ids
}

function readAddedTokens(value: unknown): AddedToken[] {
  const tokens = asList(value ?? [], 'added_tokens')
  checkCount(tokens.length, 'added_tokens', MAX_ADDED_TOKENS)
  return tokens.map((entry, i) => {
    const token = asObject(entry, 'added_tokens')
    return {
      id: checkId(token.id, 'added_tokens', MAX_PIECES),
      content: checkPiece(token.content, 'added_tokens', i),
      special: token.special === true,
      lstrip: token.lstrip === true,
      rstrip: token.rstrip === true,
      singleWord: token.single_word === true,
      normalized: token.normalized === true,
    }
  })
}

/**
 * Added tokens with the ids that the Rust library gives them, whatever the file says: the vocabulary's own, or one
 * after the other behind it. Of equal ones the last counts.
 *
 * @throws FormatError if such an id is another piece's, as the vocabulary has holes
 */
function numbered(
  tokens: readonly AddedToken[],
  ids: ReadonlyMap<string, number>,
  pieces: readonly (string | undefined)[],
): AddedToken[] {
  const done = new Map<string, AddedToken>()
  let next = ids.size
  for (const token of tokens) {
    const known = done.get(token.content)?.id ?? ids.get(token.content)
    const id = known ?? next
    next = Math.max(next, id + 1)
    done.set(token.content, { ...token, id })
    if (known !== undefined || pieces[id] === undefined) continue
    throw new FormatError(
      `Expected a vocabulary without holes for the added token ${JSON.stringify(token.content.slice(0, 60))}, which ` +
        `gets the id ${id} where tokenizer.json is read, but that is a piece's. Take the tokenizer that the model ` +
        'was published with.',
      { field: 'added_tokens' },
    )
  }
  return [...done.values()]
}

function typesOf(
  pieces: readonly (string | undefined)[],
  added: readonly AddedToken[],
  hasBytes: boolean,
): Uint8Array {
  const { unused, byte, normal, control, userDefined } = TOKEN_TYPE
  const types = Uint8Array.from(pieces, (piece) => {
    if (piece === undefined) return unused
    return hasBytes && /^<0x[0-9A-F]{2}>$/.test(piece) ? byte : normal
  })
  for (const { id, special } of added) types[id] = special ? control : userDefined
  return types
}

/** Ids past the vocabulary may be among them: config.json may count padding. */
export function eosIds(config: JsonObject | undefined, file: string): number[] {
  const value = config?.eos_token_id ?? []
  const field = `${file} eos_token_id`
  return (Array.isArray(value) ? value : [value]).map((id) => checkId(id, field, 2 ** 31))
}

/** One template, or named ones as a list or an object. */
export function readTemplates({
  chatTemplate,
  tokenizerConfig,
}: FilesBeside): Pick<Vocabulary, 'chatTemplate' | 'toolTemplate'> {
  const value = chatTemplate ?? tokenizerConfig?.chat_template
  if (isAbsent(value)) return { chatTemplate: undefined }
  const named = namedTemplates(value)
  if (named === undefined) return { chatTemplate: checkTemplate(value, 'chat_template') }
  const [main, forTools] = [named.get(DEFAULT_TEMPLATE), named.get(TOOL_TEMPLATE)]
  const template = main ?? (named.size === 1 ? [...named.values()][0] : undefined)
  if (template !== undefined) {
    return {
      chatTemplate: checkTemplate(template, 'chat_template'),
      ...(!isAbsent(forTools) && { toolTemplate: checkTemplate(forTools, 'chat_template') }),
    }
  }
  throw new FormatError(
    `Expected chat_template to be a text, or several with one that is called "${DEFAULT_TEMPLATE}", got ` +
      `${named.size}: ${describe([...named.keys()].join(', '))}. Remove the key or give a template.`,
    { field: 'chat_template' },
  )
}

function namedTemplates(value: unknown): Map<unknown, unknown> | undefined {
  if (isObject(value)) return new Map(Object.entries(value))
  if (!Array.isArray(value)) return undefined
  return new Map(value.filter(isObject).map(({ name, template }) => [name, template]))
}

function templateTokens(config: JsonObject): Record<string, string> {
  const texts = TEMPLATE_TOKENS.map((name) => [name, textOf(config[name])] as const)
  return Object.fromEntries(texts.filter(([, text]) => text !== undefined)) as Record<
    string,
    string
  >
}

function idIn(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function asBoolean(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined
}
