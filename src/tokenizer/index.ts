/** Tokenizers: text to ids and back, from tokenizer.json, GGUF metadata or tiktoken files. */
export { createTokenizer, type TokenizerParts } from './create.ts'
export { tokenizerFromGguf } from './from-gguf.ts'
export { type JsonTokenizerFiles, tokenizerFromJson } from './from-json.ts'
export { type TiktokenOptions, tokenizerFromTiktoken } from './from-tiktoken.ts'
export { numericTokenizer } from './numeric.ts'
export type {
  ChatMessage,
  EncodeOptions,
  TextTokenizer,
  TokenStream,
} from './text-tokenizer.ts'
