/**
 * The files of a byte-level tokenizer as Hugging Face lays them out, with the special tokens and the template of
 * conversations that training, chat and the embedded model share.
 */
import type { JsonObject } from '../../checks.ts'
import { BYTE_CHARACTERS } from '../byte-alphabet.ts'
import { addedToken, BYTE_LEVEL, bpeModel, byteLevelCuts } from '../tokenizer-json.ts'

/** In the order of their ids. */
export const CHAT_TOKENS = [
  '<|begin_of_text|>',
  '<|end_of_text|>',
  '<|eot_id|>',
  '<|system|>',
  '<|user|>',
  '<|assistant|>',
] as const
const [BEGIN, END] = CHAT_TOKENS
const EOT_ID = 2

/** Each message behind its role, and a token behind it. */
const CHAT_TEMPLATE =
  '{{ bos_token }}{% for message in messages %}' +
  "{{ '<|' + message['role'] + '|>' + message['content'] + '<|eot_id|>' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"

export interface ByteLevelVocabulary {
  /** Special tokens behind those of conversations. */
  readonly special: readonly string[]
  /** In the order of their ids, which begin behind the special tokens'. */
  readonly pieces: readonly string[]
  readonly merges: readonly (readonly [left: string, right: string])[]
  /** The expression that cuts text into words; unset: all of it is one. */
  readonly split?: string
}

/** By their names. */
export function tokenizerFiles(
  vocabulary: ByteLevelVocabulary,
): Readonly<Record<string, JsonObject>> {
  const special = [...CHAT_TOKENS, ...vocabulary.special]
  const words = [...special, ...vocabulary.pieces]
  const { split, merges } = vocabulary
  const begin = { SpecialToken: { id: BEGIN, type_id: 0 } }
  const sequence = { Sequence: { id: 'A', type_id: 0 } }
  return {
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: special.map((content, id) => addedToken(id, content, true)),
      normalizer: null,
      pre_tokenizer: split === undefined ? BYTE_LEVEL : byteLevelCuts([split]),
      post_processor: {
        type: 'TemplateProcessing',
        single: [begin, sequence],
        pair: [begin, sequence, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: { [BEGIN]: { id: BEGIN, ids: [0], tokens: [BEGIN] } },
      },
      decoder: BYTE_LEVEL,
      model: bpeModel(null, false, {
        ignore_merges: false,
        vocab: Object.fromEntries(words.map((word, id) => [word, id])),
        merges,
      }),
    },
    'tokenizer_config.json': {
      tokenizer_class: 'PreTrainedTokenizerFast',
      bos_token: BEGIN,
      eos_token: END,
      chat_template: CHAT_TEMPLATE,
      clean_up_tokenization_spaces: false,
    },
    'generation_config.json': { eos_token_id: [1, EOT_ID] },
  }
}

/** A tokenizer without merges: a token a byte of UTF-8. For small texts and small models, where an embedding of
 * thousands of words would be most of the model. */
export function byteTokenizerFiles(): Readonly<Record<string, JsonObject>> {
  return tokenizerFiles({ special: [], pieces: BYTE_CHARACTERS, merges: [] })
}
