/**
 * Texts for comparing tokenizers: scripts, emoji sequences, control characters, long runs, combining
 * marks, halves of surrogate pairs. Characters are of Unicode 15 at most, which all libraries know.
 */

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const WORDS = (
  "the of and to hello Hello HELLO world it's I'll we've they're don't 'S 'LL x1 abc123 don'ts naïve café " +
  'Straße ſtop K Ångström œuvre İstanbul Σίσυφος ΣΑΣ привет мир שלום مرحبا ١٢٣ नमस्ते สวัสดี 안녕하세요 ' +
  '你好 世界 吾輩は猫である カタカナ ﾊﾝｶｸ ｆｕｌｌ １２３ ㍿ ㌔ ① ½ ² ³ ₂ ⅷ ﬁ ﬃ 한글 ᄒ ᅡ ᆫ 𝒜𝔅 𠮷野家 ㋿ ™ № … — “q” ' +
  'http://a.b/c?d=e#f user@example.com C++ x=1; {"k":[1,2]} <s> </s> <tag> <|end|> a_b __init__ foo.bar() ' +
  '1234567 3.14 1,000 0x1F -5 +7 $9.99 €5 100% ~~ ``` ### === >= <= ^ | \\ / <0x41> ▁ ▁▁ Ġ Ċ'
).split(' ')
const MARKS = [
  '\u0301',
  '\u0308',
  '\u0323',
  '\u0345',
  '\u093c',
  '\u3099',
  '\u20dd',
  '\ufe0f',
  '\u200d',
]
const EMOJI = ['😀', '👨‍👩‍👧‍👦', '🇯🇵', '👍🏽', '❤️', '🏳️‍🌈', '1️⃣', '🧑🏿‍🚀', '☃']
const SPACES = [
  ' ',
  ' ',
  ' ',
  '  ',
  '   ',
  '\n',
  '\r\n',
  '\t',
  '\n\n',
  '\u00a0',
  '\u3000',
  '\u2003',
  '\u0085',
  '\u2028',
  '\ufeff',
  '\u200b',
  '\v',
  '\f',
]
const CONTROLS = [
  '\0',
  '\u0001',
  '\u001b[0m',
  '\u007f',
  '\u0080',
  '\u00ad',
  '\u202e',
  '\ue000',
  '\ufffd',
  '\uffff',
]
const HALVES = ['\ud800', '\udc00', '\ud83d', '\ude00\ud83d']

/** @param extra what the vocabulary at hand makes interesting, such as its added tokens */
export function randomTexts(seed: number, count: number, extra: readonly string[] = []): string[] {
  const random = randomFrom(seed)
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]
  const anyCharacter = () => {
    const code = Math.floor(random() ** 3 * 0x30000)
    const isHalf = code >= 0xd800 && code <= 0xdfff
    const text = String.fromCodePoint(isHalf ? 0x41 : code)
    // What is assigned later, or differs between the Unicode versions of libraries, is no fault.
    return /[\p{L}\p{N}\p{P}\p{Zs}]/u.test(text) && code < 0xa700 ? text : pick(WORDS)
  }
  const piece = (): string => {
    const kind = random()
    if (kind < 0.4) return pick(WORDS) + (random() < 0.6 ? ' ' : '')
    if (kind < 0.55) return pick(SPACES)
    if (kind < 0.62) return pick(EMOJI)
    if (kind < 0.68)
      return pick(WORDS).slice(0, 2) + pick(MARKS) + (random() < 0.3 ? pick(MARKS) : '')
    if (kind < 0.73) return pick(CONTROLS)
    if (kind < 0.76) return pick(HALVES)
    if (kind < 0.84) return anyCharacter()
    if (kind < 0.88)
      return pick([...SPACES, 'a', '!', '7', 'あ', '▁', '😀']).repeat(1 + Math.floor(random() * 40))
    return extra.length > 0 ? pick(extra) : pick(WORDS)
  }
  return Array.from({ length: count }, (_, i) => {
    if (i === 0) return ''
    const length = 1 + Math.floor(random() ** 2 * (i % 50 === 0 ? 120 : 14))
    return Array.from({ length }, piece).join('')
  })
}
