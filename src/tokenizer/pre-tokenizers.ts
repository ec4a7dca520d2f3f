/**
 * How a byte-level BPE cuts text into words before merging, by the names that GGUF files give in
 * `tokenizer.ggml.pre`. Each entry is a chain of expressions: matches of one become pieces, and so
 * does what lies between them; the next expression cuts those pieces further.
 */
import {
  DEFAULT_PUNCTUATION,
  FALCON_PUNCTUATION,
  GPT2,
  gpt4Style,
  LLAMA3_SPLIT,
  THREE_DIGITS,
} from './regex/known.ts'

/** A rule that cuts text into words. */
export interface PreTokenizer {
  /** Regular expressions in the syntax of tokenizer.json, which is Oniguruma's. */
  readonly splits: readonly string[]
  /** A word that is a piece as a whole is taken as it is, whatever the merges say. */
  readonly ignoreMerges: boolean
  /** Models of this family expect the begin token unless their file says otherwise. */
  readonly addBos: boolean
}

const cutBy = (...splits: string[]): PreTokenizer => {
  return { splits, ignoreMerges: false, addBos: false }
}

const LLAMA3: PreTokenizer = { splits: [LLAMA3_SPLIT], ignoreMerges: true, addBos: true }
const GPT2_LIKE = cutBy(GPT2)
const QWEN2 = cutBy(gpt4Style(''))
const SINGLE_DIGITS = cutBy('\\p{N}', GPT2)
/** What llama.cpp does where a file does not say. */
const DEFAULT = cutBy(DEFAULT_PUNCTUATION, GPT2, '\\p{N}+', THREE_DIGITS)
const FALCON = cutBy(FALCON_PUNCTUATION, GPT2, THREE_DIGITS)

/** Rules by the names that GGUF gives them. */
export const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map([
  ['llama-bpe', LLAMA3],
  ['llama3', LLAMA3],
  ['llama-v3', LLAMA3],
  ['falcon3', LLAMA3],
  ['falcon_e', LLAMA3],
  ['gpt-2', GPT2_LIKE],
  ['olmo', GPT2_LIKE],
  ['mpt', GPT2_LIKE],
  ['phi-2', GPT2_LIKE],
  ['qwen2', QWEN2],
  ['smollm', SINGLE_DIGITS],
  ['starcoder', SINGLE_DIGITS],
  ['falcon', FALCON],
  ['default', DEFAULT],
])
