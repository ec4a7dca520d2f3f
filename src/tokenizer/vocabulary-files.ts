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
import { checkId, MAX_PIECES } from './vocabulary-limits.ts'

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
const MORE_NAMES = 'additional_special_tokens'

/**
 * The files with a tokenizer.json, made of the older ones where there is none.
 *
 * @throws FormatError if one of the older ones is missing, damaged, or of a class that is not supported
 */
export function withTokenizerJson(files: TokenizerFiles): TokenizerFiles {
  const { tokenizerJson, tokenizerModel, vocabJson, mergesText } = files
  if (tokenizerJson !== undefined || tokenizerModel !== undefined) return files
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
  const decoder = isObject(tokenizerConfig.added_tokens_decoder)
    ? tokenizerConfig.added_tokens_decoder
    : {}
  for (const [id, entry] of Object.entries(decoder)) {
    const token = asObject(entry, 'added_tokens_decoder')
    add(String(token.content), Number(id), token)
  }
  for (const entry of [tokenizerConfig, specialTokensMap].flatMap(specialEntries)) {
    const content = isObject(entry) ? entry.content : entry
    if (typeof content !== 'string') continue
    const id = Object.hasOwn(listed, content) ? listed[content] : ownValue(vocab, content)
    const flags = isObject(entry) ? entry : {}
    if (id !== undefined) add(content, id, { ...flags, special: true })
  }
  for (const [content, id] of Object.entries(listed)) add(content, id, { special: false })
  return [...tokens.values()]
}

const ownValue = (object: JsonObject, key: string) =>
  Object.hasOwn(object, key) ? object[key] : undefined

function specialEntries(file: JsonObject): unknown[] {
  const more = file[MORE_NAMES]
  return [...NAMES.map((name) => file[name]), ...(Array.isArray(more) ? more : [])]
}
