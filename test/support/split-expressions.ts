/** Regular expressions of published tokenizers, ours, and odd ones. */
import { SCRIPTS_SPLIT } from '../../src/tokenizer/regex/known.ts'

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
export const LLAMA3: string = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
export const GPT4O: string = `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+${CONTRACTIONS}?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*${CONTRACTIONS}?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
/** DeepSeek V3's, and Kimi's with an intersection: neither is among those that run natively. */
export const DEEPSEEK: string = `[!"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_\`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
export const KIMI: string = `[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+${CONTRACTIONS}?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
/** Anchors, borders, lazy and possessive repetition, looking behind, groups; that of trained vocabularies. */
export const ODD_EXPRESSIONS: readonly string[] = [
  '\\b',
  '(?<=\\p{L})(?=\\p{N})|(?<=\\p{N})(?=\\p{L})',
  '(?:ab|a|b)+?c?',
  '^.|.$|\\A\\w|\\w\\z',
  '\\p{L}++|(?>\\d+)\\.',
  '[[:punct:]]+|[[:^space:]&&[^a-z]]',
  '\\w*\\d|\\s{2,}',
  '(a*)*|\\h{2,3}+',
  '(?i)the|[^\\w]{2}',
  SCRIPTS_SPLIT,
]
