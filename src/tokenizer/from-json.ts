/**
 * A tokenizer from the files of a Hugging Face model: tokenizer.json, and what tokenizer_config.json,
 * generation_config.json and config.json add to it.
 */
import type { JsonObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import { chooseTemplate, collectStopIds, isBogusTemplate } from './chat-format.ts'
import { createTokenizer } from './create.ts'
import { readTokenizerJson } from './json-vocabulary.ts'
import { checkId, checkTemplate } from './limits.ts'
import type { TextTokenizer } from './text-tokenizer.ts'
import { wordEncoder } from './word-encoder.ts'

export interface JsonTokenizerFiles {
  /** tokenizer.json, parsed. */
  readonly tokenizerJson: unknown
  /** tokenizer_config.json, parsed. */
  readonly tokenizerConfig?: JsonObject | undefined
  /** generation_config.json, parsed. */
  readonly generationConfig?: JsonObject | undefined
  /** The model's config.json, parsed. */
  readonly config?: JsonObject | undefined
  /** chat_template.jinja, which goes before the template in tokenizer_config.json. */
  readonly chatTemplate?: string | undefined
  /** What another container of the same tokenizer says; goes before all of the above. */
  readonly declared?: DeclaredTokens | undefined
  /** Where the tokenizer came from, for people. Default "tokenizer.json". */
  readonly origin?: string | undefined
}

export interface DeclaredTokens {
  readonly bosId?: number | undefined
  readonly addBos?: boolean | undefined
  readonly stopIds?: readonly number[] | undefined
  readonly endId?: number | undefined
}

/** Names under which templates ask for tokens. */
const TEMPLATE_TOKENS = ['eos_token', 'pad_token', 'unk_token'] as const

/** @throws FormatError naming the part of the files that is damaged or not supported */
export function tokenizerFromJson(files: JsonTokenizerFiles): TextTokenizer {
  const { tokenizerConfig = {}, declared = {} } = files
  const read = readTokenizerJson(files.tokenizerJson)
  const idOf = (text: string | undefined) =>
    text === undefined
      ? undefined
      : (read.addedTokens.find(({ content }) => content === text)?.id ?? read.idOf(text))

  const bosId = declared.bosId ?? idOf(tokenText(tokenizerConfig.bos_token)) ?? bosOf(files, read)
  const eosText = tokenText(tokenizerConfig.eos_token)
  const eosId = idOf(eosText)
  const stopIds = collectStopIds(
    [
      ...(declared.stopIds ?? []),
      ...(eosId === undefined ? [] : [eosId]),
      ...eosIds(files.generationConfig, 'generation_config.json'),
      ...eosIds(files.config, 'config.json'),
    ],
    read.addedTokens,
  ).filter((id) => id < read.vocabulary.size)

  const given = readTemplate(files.chatTemplate ?? tokenizerConfig.chat_template)
  const chatTemplate = chooseTemplate(given, {
    isBitnet: files.config?.model_type === 'bitnet',
    vocabSize: read.vocabulary.size,
  })
  const addBos = declared.addBos ?? asBoolean(tokenizerConfig.add_bos_token)
  return createTokenizer({
    description:
      `${files.origin ?? 'tokenizer.json'}: ${read.modelType}, ${read.vocabulary.size} tokens` +
      (given !== undefined && isBogusTemplate(given) ? '; chat template corrected' : ''),
    vocabulary: read.vocabulary,
    encodeWords: wordEncoder(read.json, eosText),
    addedTokens: read.addedTokens,
    bosId: bosId === undefined ? undefined : checkId(bosId, 'bos_token_id', read.vocabulary.size),
    addBos: addBos ?? (bosId !== undefined && read.firstSpecialIds.includes(bosId)),
    endId: declared.endId ?? (tokenizerConfig.add_eos_token === true ? eosId : read.lastSpecialId),
    unknownId: read.unknownId,
    stopIds,
    chatTemplate,
    templateTokens: templateTokens(tokenizerConfig),
    dropLeadingSpace: read.dropLeadingSpace,
  })
}

/** The begin token of config.json, or the one that the post-processor puts in front. */
function bosOf(
  files: JsonTokenizerFiles,
  read: { firstSpecialIds: readonly number[] },
): number | undefined {
  const id = files.config?.bos_token_id ?? read.firstSpecialIds[0]
  return typeof id === 'number' ? id : undefined
}

/** One id or a list of them; null and absent mean none. */
export function eosIds(config: JsonObject | undefined, file: string): number[] {
  const value = config?.eos_token_id ?? []
  const field = `${file} eos_token_id`
  // An id past the vocabulary is dropped by the caller: config.json may count padding.
  return (Array.isArray(value) ? value : [value]).map((id) => checkId(id, field, 2 ** 31))
}

/** A token is named by its text or by an object that holds the text. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null) return undefined
  const { content } = value as { content?: unknown }
  return typeof content === 'string' ? content : undefined
}

/** One template, or a list of named ones of which "default" is for conversations. */
export function readTemplate(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value)) return checkTemplate(value, 'chat_template')
  const named = value.filter(
    (entry): entry is { name?: unknown; template?: unknown } =>
      typeof entry === 'object' && entry !== null,
  )
  const chosen = named.find(({ name }) => name === 'default') ?? named[0]
  if (chosen !== undefined) return checkTemplate(chosen.template, 'chat_template')
  throw new FormatError(
    'Expected chat_template to be a text or a list of templates, got a list without any. ' +
      'Remove the key or give a template.',
    { field: 'chat_template' },
  )
}

function templateTokens(config: JsonObject): Record<string, string> {
  const tokens: Record<string, string> = {}
  for (const name of TEMPLATE_TOKENS) {
    const text = tokenText(config[name])
    if (text !== undefined) tokens[name] = text
  }
  return tokens
}

function asBoolean(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined
}
