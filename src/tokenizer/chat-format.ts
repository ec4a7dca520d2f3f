/**
 * Which chat template and which end tokens a model really has, where its files are silent or wrong.
 *
 * BitNet b1.58 2B-4T's GGUF carries a template of its converter's making ("Human: ... BITNETAssistant:")
 * that the model was never trained on. The true format, from the chat code published with the model's
 * weights, is the begin token, then for each message the role, ": ", the trimmed content and
 * <|eot_id|>, then "Assistant: ". That code encodes the header and the content apart from each other,
 * so that the space after the colon is a token of its own; `token_break` says where. Elsewhere the
 * variable is undefined and renders as nothing.
 */

/** BitNet b1.58 2B-4T's true chat format. */
export const BITNET_2B_TEMPLATE: string =
  '{{ bos_token }}{% for message in messages %}' +
  "{{ message['role'] | capitalize + ': ' }}{{ token_break }}" +
  "{{ message['content'] | trim + '<|eot_id|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"

/** Tokens that end an answer in every model that has them as added tokens. */
const END_TEXTS: ReadonlySet<string> = new Set([
  '<|eot_id|>',
  '<|eom_id|>',
  '<|im_end|>',
  '<|end_of_text|>',
  '<|endoftext|>',
])

/** Vocabulary of Llama 3, which BitNet b1.58 2B-4T shares: 128,000 pieces and 256 special tokens. */
export const LLAMA3_VOCAB_SIZE = 128_256
export const LLAMA3_BASE_SIZE = 128_000

/** True for the converter's template that was never the model's. */
export function isBogusTemplate(template: string): boolean {
  return template.includes('BITNET')
}

/**
 * The template to use: the file's, unless it is the bogus one, or none is there and the model is
 * BitNet b1.58 2B-4T.
 */
export function chooseTemplate(
  given: string | undefined,
  model: { isBitnet: boolean; vocabSize: number },
): string | undefined {
  if (given !== undefined && !isBogusTemplate(given)) return given
  const isBitnet2B = model.isBitnet && model.vocabSize === LLAMA3_VOCAB_SIZE
  return given !== undefined || isBitnet2B ? BITNET_2B_TEMPLATE : undefined
}

/** Declared end tokens and the well-known ones among the added tokens, each once, ascending. */
export function collectStopIds(
  declared: readonly number[],
  addedTokens: readonly { readonly id: number; readonly content: string }[],
): number[] {
  const known = addedTokens.filter(({ content }) => END_TEXTS.has(content)).map(({ id }) => id)
  return [...new Set([...declared, ...known])].sort((a, b) => a - b)
}
