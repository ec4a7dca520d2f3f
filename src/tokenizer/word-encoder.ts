/**
 * The two things taken from `@huggingface/tokenizers`: the chain normaliser, pre-tokeniser, model of a
 * tokenizer.json, and splitting by Oniguruma expressions. Its own handling of added tokens, begin
 * tokens and decoding is not used: it always reads special tokens in a text, and it decodes whole
 * texts only. The declarations of version 0.2.0 do not resolve under Node's module rules, so the
 * parts that are used are declared here.
 */
import { Tokenizer } from '@huggingface/tokenizers'
import { type JsonObject, messageOf } from '../checks.ts'
import { FormatError } from '../errors.ts'
import { splitStep } from './tokenizer-json.ts'

/**
 * Ids of a stretch of text without added tokens. `isFirst` tells that nothing comes before it: some
 * vocabularies put a space in front there.
 */
export type WordEncoder = (text: string, isFirst: boolean) => number[]

interface LibraryTokenizer {
  readonly normalizer: ((text: string) => string) | null
  readonly pre_tokenizer: ((text: string, options: { section_index: number }) => string[]) | null
  readonly model: ((words: string[]) => string[]) & {
    readonly tokens_to_ids: ReadonlyMap<string, number>
    readonly unk_token_id?: number
  }
}

/**
 * @param tokenizerJson with its vocabulary checked already
 * @throws FormatError if the library cannot read it
 */
export function wordEncoder(tokenizerJson: JsonObject, eosToken: string | undefined): WordEncoder {
  const library = loadLibrary(tokenizerJson, eosToken)
  const { normalizer, pre_tokenizer: preTokenizer, model } = library
  return (text, isFirst) => {
    const normal = normalizer === null ? text : normalizer(text)
    if (normal === '') return []
    const section = { section_index: isFirst ? 0 : 1 }
    const words = preTokenizer === null ? [normal] : preTokenizer(normal, section)
    const ids: number[] = []
    for (const token of model(words)) {
      const id = model.tokens_to_ids.get(token) ?? model.unk_token_id
      if (id !== undefined) ids.push(id)
    }
    return ids
  }
}

/** Cuts a text by an expression in Oniguruma's syntax; matches and what is between become pieces. */
export function splitter(expression: string): (text: string) => string[] {
  // The library makes pre-tokenizers for whole tokenizers only.
  const model = { type: 'BPE', vocab: {}, merges: [] }
  const { pre_tokenizer: cut } = loadLibrary(
    { pre_tokenizer: splitStep(expression), model },
    undefined,
  )
  return (text) => (cut === null ? [text] : cut(text, { section_index: 0 }))
}

function loadLibrary(tokenizerJson: JsonObject, eosToken: string | undefined): LibraryTokenizer {
  const parts = {
    ...tokenizerJson,
    added_tokens: [],
    normalizer: tokenizerJson.normalizer ?? null,
    pre_tokenizer: tokenizerJson.pre_tokenizer ?? null,
    post_processor: null,
    decoder: null,
  }
  try {
    return new Tokenizer(parts, { eos_token: eosToken }) as LibraryTokenizer
  } catch (cause) {
    throw new FormatError(
      'Expected a tokenizer.json that @huggingface/tokenizers can read, but it says: ' +
        `${messageOf(cause)}. ` +
        'The file is damaged or uses a part that is not supported.',
      { field: 'tokenizer.json', cause },
    )
  }
}
