/**
 * A byte-level vocabulary in its older files, vocab.json and merges.txt, as the tokenizer.json that
 * transformers makes of it. How text is cut lies in the code of the tokenizer's class, of which
 * tokenizer_config.json gives the name.
 */
import { describe, isObject, type JsonObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import type { TokenizerFiles } from '../formats/model-file.ts'
import { GPT2, gpt4Style } from './regex/known.ts'
import { asObject, bpeModel, byteLevelCuts } from './tokenizer-json.ts'
import { checkCount, checkId, MAX_ADDED_TOKENS, MAX_PIECES } from './vocabulary-limits.ts'

/** By class without "Fast": what it does before merging. Files that name none are GPT-2's. */
const CLASSES: ReadonlyMap<string, { readonly split: string; readonly normalizer: string | null }> =
  new Map([
    ['GPT2Tokenizer', { split: GPT2, normalizer: null }],
    ['Qwen2Tokenizer', { split: gpt4Style(''), normalizer: 'NFC' }],
  ])

/** Names of tokens in special_tokens_map.json and tokenizer_config.json, beside a list of further ones. */
const NAMES = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
]
const MORE_NAMES = ['additional_special_tokens', 'extra_special_tokens']
/** Of an added token, besides its text and id. */
const FLAGS = ['special', 'single_word', 'lstrip', 'rstrip', 'normalized'] as const
const DECODER = 'added_tokens_decoder'

/**
 * The files with a tokenizer.json that has all added tokens, made of the older ones where there is none.
 *
 * @throws FormatError if one of the older ones is missing, damaged, or of a class that is not supported
 */
export function withTokenizerJson(files: TokenizerFiles): TokenizerFiles {
  const { tokenizerJson, tokenizerModel, vocabJson, mergesText } = files
  if (tokenizerJson !== undefined) {
    return { ...files, tokenizerJson: withMoreTokens(tokenizerJson, files) }
  }
  if (tokenizerModel !== undefined) return files
  if (vocabJson === undefined && mergesText === undefined) return files
  if (vocabJson === undefined || mergesText === undefined) {
    const [there, missing] =
      vocabJson === undefined ? ['merges.txt', 'vocab.json'] : ['vocab.json', 'merges.txt']
    throw new FormatError(
      `Expected ${missing} beside ${there}, found no such file. Fetch it as well, or the model's tokenizer.json.`,
      { field: missing },
    )
  }
  const config = files.tokenizerConfig ?? {}
  const className = config.tokenizer_class ?? 'GPT2Tokenizer'
  const rule = CLASSES.get(String(className).replace(/Fast$/, ''))
  if (rule === undefined) {
    throw new FormatError(
      `Expected vocab.json and merges.txt of ${[...CLASSES.keys()].join(' or ')}, got ${describe(className)} ` +
        "in tokenizer_config.json, whose rules they do not tell. Use the model's tokenizer.json.",
      { field: 'tokenizer_class' },
    )
  }
  if (config.add_prefix_space === true) {
    throw new FormatError(
      'Expected add_prefix_space to be false for vocab.json and merges.txt, got true in tokenizer_config.json. ' +
        "Use the model's tokenizer.json.",
      { field: 'add_prefix_space' },
    )
  }
  const made: JsonObject = {
    version: '1.0',
    added_tokens: addedTokens(files, vocabJson),
    normalizer: rule.normalizer === null ? null : { type: rule.normalizer },
    pre_tokenizer: byteLevelCuts([rule.split]),
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: bpeModel(null, false, { vocab: vocabJson, merges: linesOf(mergesText) }),
  }
  return { ...files, tokenizerJson: made }
}

/**
 * What names tokens: tokenizer_config.json, and special_tokens_map.json, which is older: as in transformers it goes
 * before a tokenizer_config.json of its own time, and counts for nothing beside one that describes added tokens.
 */
export function namesOfTokens({
  tokenizerConfig = {},
  specialTokensMap = {},
}: Pick<TokenizerFiles, 'tokenizerConfig' | 'specialTokensMap'>): JsonObject {
  return DECODER in tokenizerConfig ? tokenizerConfig : { ...tokenizerConfig, ...specialTokensMap }
}

/**
 * A tokenizer.json with the tokens that the files beside it add or describe anew, numbered as transformers and the
 * Rust library do. It is given back itself where there are none, and where it is damaged.
 */
function withMoreTokens(json: JsonObject, files: TokenizerFiles): JsonObject {
  const [own, model] = [json['added_tokens'] ?? [], json['model']]
  if (!Array.isArray(own) || !own.every(isObject) || !isObject(model)) return json
  const tokens = new Map(own.map((token) => [token['content'], token]))
  let size: number | undefined
  const nextId = () => {
    size ??= Object.keys(model['vocab'] ?? {}).length
    const most = [...tokens.values()].reduce((max, { id }) => Math.max(max, Number(id)), -1)
    return Math.max(most + 1, size)
  }
  let isChanged = false
  for (const { isNamed, ...token } of moreTokens(files)) {
    const known = tokens.get(token.content)
    if (known !== undefined && (isNamed || FLAGS.every((flag) => known[flag] === token[flag])))
      continue
    tokens.set(token.content, {
      ...token,
      id: known?.['id'] ?? pieceId(model['vocab'], token.content) ?? nextId(),
      special: known?.['special'] === true || token.special,
    })
    isChanged = true
  }
  return isChanged ? { ...json, added_tokens: [...tokens.values()] } : json
}

/** Of the files beside a tokenizer.json: described ones, then named ones, which keep the flags they have. */
function moreTokens(files: TokenizerFiles) {
  const { tokenizerConfig = {}, addedTokens: listed = {} } = files
  const named = [...specialEntries(namesOfTokens(files)), ...moreEntries(tokenizerConfig)]
  const special = new Set(named.map(textOf))
  const decoder = tokenizerConfig[DECODER]
  const described: [number, JsonObject][] = isObject(decoder)
    ? Object.entries(decoder).map(([id, entry]) => [Number(id), asObject(entry, DECODER)])
    : Object.entries(listed).map(([content, id]) => [Number(id), { content }])
  const token = (entry: JsonObject, isNamed: boolean) => {
    const content = String(entry['content'])
    const isSpecial = entry['special'] === true || special.has(content)
    return {
      content,
      special: isSpecial,
      single_word: entry['single_word'] === true,
      lstrip: entry['lstrip'] === true,
      rstrip: entry['rstrip'] === true,
      normalized: entry['normalized'] === undefined ? !isSpecial : entry['normalized'] === true,
      isNamed,
    }
  }
  return [
    ...described.sort(([a], [b]) => a - b).map(([, entry]) => token(entry, false)),
    ...named.flatMap((entry) => {
      const content = textOf(entry)
      return content ? [token({ ...(isObject(entry) && entry), content }, true)] : []
    }),
  ]
}

function pieceId(vocab: unknown, piece: string): number | undefined {
  if (isObject(vocab)) return ownValue(vocab, piece) as number | undefined
  const id = Array.isArray(vocab)
    ? vocab.findLastIndex((entry) => Array.isArray(entry) && entry[0] === piece)
    : -1
  return id < 0 ? undefined : id
}

/** A token is named by its text or by an object that holds the text. */
export function textOf(value: unknown): string | undefined {
  const text = isObject(value) ? value['content'] : value
  return typeof text === 'string' ? text : undefined
}

/** Without the version and without what ends a file. */
function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#version'))
}

/** Each added token once: as tokenizer_config.json lists it, or by what the other files say of it. */
function addedTokens(
  { tokenizerConfig = {}, specialTokensMap = {}, addedTokens: listed = {} }: TokenizerFiles,
  vocab: JsonObject,
): JsonObject[] {
  const tokens = new Map<string, JsonObject>()
  const add = (content: string, id: unknown, flags: JsonObject) => {
    if (!tokens.has(content))
      tokens.set(content, { ...flags, id: checkId(id, 'added_tokens', MAX_PIECES), content })
  }
  const decoder = isObject(tokenizerConfig[DECODER]) ? tokenizerConfig[DECODER] : {}
  for (const [id, entry] of Object.entries(decoder)) {
    const token = asObject(entry, DECODER)
    add(String(token.content), Number(id), token)
  }
  for (const entry of [tokenizerConfig, specialTokensMap].flatMap(specialEntries)) {
    const content = textOf(entry)
    if (content === undefined) continue
    const id = Object.hasOwn(listed, content) ? listed[content] : ownValue(vocab, content)
    const flags = isObject(entry) ? entry : {}
    if (id !== undefined) add(content, id, { ...flags, special: true })
  }
  for (const [content, id] of Object.entries(listed)) add(content, id, { special: false })
  return withoutHoles([...tokens.values()], Object.keys(vocab).length)
}

/** These files number their tokens; tokenizer.json lists them one after the other behind the vocabulary. */
function withoutHoles(tokens: readonly JsonObject[], size: number): JsonObject[] {
  const byId = new Map(tokens.map((token) => [Number(token['id']), token]))
  const end = Math.max(size, ...[...byId.keys()].map((id) => id + 1))
  checkCount(end - size, 'added_tokens', MAX_ADDED_TOKENS)
  for (let id = size; id < end; id++) {
    if (!byId.has(id)) byId.set(id, { id, content: `<|reserved_token_${id}|>`, special: true })
  }
  return [...byId.entries()].sort(([a], [b]) => a - b).map(([, token]) => token)
}

const ownValue = (object: JsonObject, key: string) =>
  Object.hasOwn(object, key) ? object[key] : undefined

function specialEntries(file: JsonObject): unknown[] {
  return [...NAMES.map((name) => file[name]), ...moreEntries(file)]
}

function moreEntries(file: JsonObject): unknown[] {
  return MORE_NAMES.flatMap((name) => {
    const value = file[name]
    return isObject(value) ? Object.values(value) : Array.isArray(value) ? value : []
  })
}
