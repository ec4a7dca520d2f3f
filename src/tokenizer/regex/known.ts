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

const HAN = '\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{323af}'
const HIRAGANA = '\u3041-\u309f'
const KATAKANA = '\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f'
/** Letters that are written in words; what is left out are not, but with a space between them. */
const LETTER = `[^\\P{L}${HAN}${HIRAGANA}${KATAKANA}]`

/**
 * Ours, for vocabularies that are trained here: words with the space in front of them, in any script that has
 * such; runs of kanji, hiragana and katakana, each for itself; up to three digits; signs. It means the same to
 * Oniguruma and to JavaScript.
 */
export const SCRIPTS_SPLIT: string =
  ` ?${LETTER}+(?:\\p{M}+${LETTER}*)*|[${HIRAGANA}\u30fc]+|[${HAN}]+|[${KATAKANA}]+|` +
  "['\u2019](?:[sdmt]|ll|ve|re)(?!\\p{L})|\\p{N}{1,3}| ?[^\\p{White_Space}\\p{L}\\p{N}]+[\\r\\n]*|" +
  '\\p{White_Space}*[\\r\\n]+|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+'

/** Words of ASCII between others of it need no table of all letters: twice as fast. */
const ASCII_WORD = ' ?[A-Za-z]+(?![^\\0-\\x40\\x5b-\\x60\\x7b-\\x7f])'

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
export const QUICK_EXPRESSIONS: ReadonlyMap<string, string> = new Map([
  [SCRIPTS_SPLIT, `${ASCII_WORD}|${SCRIPTS_SPLIT}`],
  ...[
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
  ].map((expression) => [expression, toJavaScript(expression)] as const),
])
