/**
 * The expressions by which published byte-level vocabularies cut text, and those of them that the
 * engine of JavaScript may run: each takes, at every place, steps in proportion to what it matches there.
 */

/** GPT-2's; the last alternative takes the white space that the one before it leaves. */
export const GPT2 =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"

/** GPT-4's rule with digits in groups of `digits`: Llama 3 takes three, Qwen 2 one. */
export const gpt4Style = (digits: string): string =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|` +
  `\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

/** Llama 3's expression. */
export const LLAMA3_SPLIT: string = gpt4Style('{1,3}')

/** GPT-4o's, which minds the case; Mistral's form of it has no contractions and single digits. */
const gpt4oStyle = (contractions: string, digits: string) => {
  const before = '[^\\r\\n\\p{L}\\p{N}]?'
  const [upper, lower] = ['[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]', '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]']
  return (
    `${before}${upper}*${lower}+${contractions}|${before}${upper}+${lower}*${contractions}|` +
    `\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
  )
}

/** First expressions of Falcon's and of llama.cpp's rule for files that name none. */
export const FALCON_PUNCTUATION = '[\\p{P}\\$\\+<=>\\^~\\|`]+'
export const DEFAULT_PUNCTUATION = '[\\p{P}\\$\\+<=>\\^~\\|]+'
export const THREE_DIGITS = '[0-9][0-9][0-9]'

/**
 * White space is Unicode's, in Oniguruma; JavaScript's \s has U+FEFF and lacks U+0085. Of the letters in
 * contractions only "s" has a further form, the long s. "$" and the like are not escaped in classes.
 */
function toJavaScript(expression: string): string {
  return expression
    .replaceAll(CONTRACTIONS, "(?:'[sS\\u017f]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])")
    .replaceAll('\\s', '\\p{White_Space}')
    .replaceAll('\\S', '\\P{White_Space}')
    .replaceAll(/\\([<=>~`])/g, '$1')
}

/** Known expressions as JavaScript writes them. */
export const QUICK_EXPRESSIONS: ReadonlyMap<string, string> = new Map(
  [
    GPT2,
    LLAMA3_SPLIT,
    gpt4Style(''),
    gpt4oStyle(`${CONTRACTIONS}?`, '{1,3}'),
    gpt4oStyle('', ''),
    FALCON_PUNCTUATION,
    DEFAULT_PUNCTUATION,
    THREE_DIGITS,
    '\\p{N}',
    '\\p{N}+',
    '\\p{N}{1,3}',
  ].map((expression) => [expression, toJavaScript(expression)]),
)
