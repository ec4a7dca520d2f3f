/**
 * A tokenizer without a vocabulary: a token a byte of UTF-8, and the special tokens of conversations. For small
 * texts and small models, where an embedding of thousands of words would be most of the model.
 */
import type { JsonObject } from '../../checks.ts'
import { bytesToAlphabet } from '../../tokenizer/byte-alphabet.ts'

const SPECIALS = [
  '<|begin_of_text|>',
  '<|end_of_text|>',
  '<|eot_id|>',
  '<|system|>',
  '<|user|>',
  '<|assistant|>',
] as const
const [BEGIN, END] = SPECIALS
const EOT_ID = 2

/** Each message behind its role, and a token behind it. */
const CHAT_TEMPLATE =
  '{{ bos_token }}{% for message in messages %}' +
  "{{ '<|' + message['role'] + '|>' + message['content'] + '<|eot_id|>' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"

/** Its files as Hugging Face lays them out, by their names. */
export function byteTokenizerFiles(): Readonly<Record<string, JsonObject>> {
  const words = [
    ...SPECIALS,
    ...Array.from({ length: 256 }, (_, i) => bytesToAlphabet(Uint8Array.of(i))),
  ]
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: false,
  }
  const begin = { SpecialToken: { id: BEGIN, type_id: 0 } }
  const sequence = { Sequence: { id: 'A', type_id: 0 } }
  return {
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: SPECIALS.map((content, id) => ({
        id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      })),
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: {
        type: 'TemplateProcessing',
        single: [begin, sequence],
        pair: [begin, sequence, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: { [BEGIN]: { id: BEGIN, ids: [0], tokens: [BEGIN] } },
      },
      decoder: byteLevel,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(words.map((word, id) => [word, id])),
        merges: [],
      },
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
