/**
 * How a byte-level BPE cuts text into words before merging, by the names that GGUF files give in
 * `tokenizer.ggml.pre`. Each entry is a chain of expressions: matches of one become pieces, and so
 * does what lies between them; the next expression cuts those pieces further.
 */

/** A rule that cuts text into words. */
export interface PreTokenizer {
  /** Regular expressions in the syntax of tokenizer.json, which is Oniguruma's. */
  readonly splits: readonly string[]
  /** A word that is a piece as a whole is taken as it is, whatever the merges say. */
  readonly ignoreMerges: boolean
  /** Models of this family expect the begin token unless their file says otherwise. */
  readonly addBos: boolean
}

/** GPT-2's; the last alternative takes the white space that the one before it leaves. */
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/** GPT-4's rule with digits in groups of `digits`: Llama 3 takes three, Qwen 2 one. */
const gpt4Style = (digits: string) =>
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" +
  `\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

/** Llama 3's expression. */
export const LLAMA3_SPLIT: string = gpt4Style('{1,3}')

const cutBy = (...splits: string[]): PreTokenizer => {
  return { splits, ignoreMerges: false, addBos: false }
}

const LLAMA3: PreTokenizer = { splits: [LLAMA3_SPLIT], ignoreMerges: true, addBos: true }
const GPT2_LIKE = cutBy(GPT2)
const QWEN2 = cutBy(gpt4Style(''))
const SINGLE_DIGITS = cutBy('\\p{N}', GPT2)
/** What llama.cpp does where a file does not say. */
const DEFAULT = cutBy('[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]')
const FALCON = cutBy('[\\p{P}\\$\\+<=>\\^~\\|`]+', GPT2, '[0-9][0-9][0-9]')

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
