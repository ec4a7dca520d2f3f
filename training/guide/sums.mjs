/**
 * Small sums, asked in many ways and answered by their steps, which is how a model of this size can learn them: tens
 * and ones apart, then together.
 */
const ONES =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty'.split(
    ' ',
  )
const KANJI = ['ゼロ', ...'一二三四五六七八九'].map(String)
const KANA = ['ゼロ', 'いち', 'に', 'さん', 'よん', 'ご', 'ろく', 'なな', 'はち', 'きゅう']

/** A number up to 20 in words. */
const english = (n) => ONES[n]
const tensOf = (n, digits, ten) =>
  n < 10
    ? digits[n]
    : (n < 20 ? '' : digits[Math.floor(n / 10)]) + ten + (n % 10 ? digits[n % 10] : '')
const kanji = (n) => tensOf(n, KANJI, '十')
const kana = (n) => tensOf(n, KANA, 'じゅう')
const wide = (n) => String(n).replace(/\d/g, (d) => String.fromCharCode(d.charCodeAt(0) + 0xfee0))

/** Questions: A and B are the numbers in figures, and in words where they are small. */
const ASKED = {
  en: {
    '+': "What is A + B?|What is A plus B?|what is A+B|A+B|A + B|A + B =|A+B=?|A plus B|How much is A plus B?|how much is A + B|Add A and B.|add A and B please|Can you add A and B?|calculate A + B|Calculate A plus B.|What do you get if you add B to A?|what's A plus B|whats A+B|What is the sum of A and B?|sum of A and B|A and B together|What does A + B equal?|A plus B equals|A plus B is?|tell me A + B|Please compute A + B.|could you work out A plus B|I need A + B|if I have A and get B more, how many is that|A + B?|what is A and B|solve A + B|Hey, what is A plus B?|do you know A plus B|A and B make?|how many are A and B|what comes out of A + B|Work out A + B|how do you add A and B|A added to B",
    '-': "What is A - B?|What is A minus B?|what is A-B|A-B|A - B|A - B =|A minus B|How much is A minus B?|Subtract B from A.|subtract B from A please|Can you take B away from A?|calculate A - B|what's A minus B|whats A-B|What is the difference between A and B?|A take away B|A minus B equals|tell me A - B|Please compute A - B.|if I have A and give away B, how many are left|A - B?|solve A - B|how much is left if I take B from A|work out A minus B|What remains of A without B?|A less B|take B from A",
    '×': "What is A times B?|What is A × B?|A x B|A*B|A × B|A times B|what's A times B|how much is A times B|Multiply A by B.|multiply A and B|calculate A × B|A × B =|A * B =|What is A multiplied by B?|tell me A times B|A times B is?|product of A and B|what do you get if you multiply A by B|A multiplied by B|whats A x B|solve A × B",
    '÷': "What is A ÷ B?|What is A divided by B?|A / B|A/B|A ÷ B|A divided by B|what's A divided by B|Divide A by B.|divide A by B please|how much is A divided by B|calculate A ÷ B|A ÷ B =|How many times does B go into A?|tell me A divided by B|solve A / B|share A among B",
  },
  ja: {
    '+': 'A+Bは？|A＋Bは？|A+Bはいくつ？|A+Bはいくつですか？|A+B|A + B|A+B=|A+B=?|Aたす​Bは？|AたすBは|AたすBはいくつ？|A足すBは？|A足すBはいくつですか|AにBを足すと？|AにBを足すといくつになりますか？|AとBを足して|AとBを足してください|AとBを足すと？|計算して。A+B|A+Bを計算して|A+Bを計算してください|AとBの合計は？|AとBの和は？|AとBでいくつ？|AとBを合わせると？|AプラスBは？|AプラスBはいくつ|A+Bの答えは？|A+Bの答えを教えて|AたすBを教えてください|A+Bってなに？|A+Bって何|Aと​Bをたすといくつ|Aこ あって Bこ ふえると？|A個とB個で何個？|A+Bできる？|A+Bわかる？|ねえ、A+Bは？|AたすBイコール|AにBをたして|A＋B＝',
    '-': 'A-Bは？|A－Bは？|A-Bはいくつ？|A-Bはいくつですか？|A-B|A - B|A-B=|A引くBは？|A引くBはいくつですか|AひくBは？|AひくBはいくつ？|AからBを引くと？|AからBを引くといくつになりますか？|AからBを引いて|AからBを引いてください|A-Bを計算して|A-Bを計算してください|AとBの差は？|AマイナスBは？|A-Bの答えは？|A個からB個取ると何個？|A-Bってなに？|AひくBを教えて|Aから​Bをとると|A個あってB個食べると残りは？',
    '×': 'A×Bは？|A×Bはいくつ？|A×Bはいくつですか|A×B|A×B=|AかけるBは？|AかけるBはいくつ？|A掛けるBは？|AとBを掛けて|AにBを掛けると？|A×Bを計算して|A×Bの答えは？|AとBの積は？|AのB倍は？|A*B|A x B|AかけるBを教えて|AのB倍はいくつですか|A×Bってなに？|九九でA×Bは？',
    '÷': 'A÷Bは？|A÷Bはいくつ？|A÷B|A÷B=|A割るBは？|AわるBは？|AをBで割ると？|AをBで割って|A÷Bを計算して|A÷Bの答えは？|AをBで割るといくつですか|A/B|AをB人で分けると一人いくつ？|AわるBを教えて',
  },
}

/** The steps from the numbers to the result. */
function steps(a, sign, b) {
  const [ta, tb] = [a - (a % 10), b - (b % 10)]
  if (sign === '+') {
    if (a + b <= 10 || a === 0 || b === 0 || (a % 10) + (b % 10) === 0) return []
    if (ta === 0 && tb === 0) return [`${a} + ${10 - a} = 10`, `10 + ${b - (10 - a)} = ${a + b}`]
    const ones = (a % 10) + (b % 10)
    const out = []
    if (ta > 0 && tb > 0) out.push(`${ta} + ${tb} = ${ta + tb}`)
    if (a % 10 > 0 && b % 10 > 0) out.push(`${a % 10} + ${b % 10} = ${ones}`)
    out.push(`${ta + tb} + ${ones} = ${a + b}`)
    return out.length > 1 ? out : []
  }
  if (sign === '-' && a >= b && b > 0 && a > 10) {
    const out = []
    let left = a
    if (tb > 0 && b % 10 > 0) {
      left -= tb
      out.push(`${a} - ${tb} = ${left}`)
    }
    const rest = tb > 0 && b % 10 > 0 ? b % 10 : b
    const over = left % 10
    if (rest < 10 && rest > over && over > 0) {
      out.push(
        `${left} - ${over} = ${left - over}`,
        `${left - over} - ${rest - over} = ${left - rest}`,
      )
    } else out.push(`${left} - ${rest} = ${left - rest}`)
    return out.length > 1 ? out : []
  }
  return []
}

const RESULT = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '×': (a, b) => a * b,
  '÷': (a, b) => a / b,
}

/** The answer in a sentence or two, with the result as its last number. */
export function solve(language, a, sign, b) {
  const result = RESULT[sign](a, b)
  const way = steps(a, sign, b)
  if (sign === '÷' && b > 1) way.push(`${b} × ${result} = ${a}`)
  const asked = `${a} ${sign} ${b}`
  if (language === 'ja') {
    if (way.length === 0) return `${asked} = ${result} です。`
    return `${asked} は、${way.join('、')} なので、答えは ${result} です。`
  }
  if (way.length === 0) return `${asked} = ${result}.`
  return `${asked}: ${way.join(', ')}. The answer is ${result}.`
}

/** All wordings of a sum, those with words for figures included where the numbers are small. */
export function wordingsOf(language, a, sign, b) {
  const spelled = language === 'en' ? [String, english] : [String, String, kanji, kana, wide]
  const out = []
  for (const [i, template] of ASKED[language][sign].replaceAll('\u200b', '').split('|').entries()) {
    const ways = a <= 20 && b <= 20 ? spelled : [String]
    for (const way of i % 3 === 0 ? ways : [ways[(i + a + b) % ways.length]]) {
      if (way !== String && !/[a-zA-Z]{3}|[ぁ-ん]{2}/.test(template.replaceAll(/[AB]/g, '')))
        continue
      out.push(
        template.replaceAll(/\bA\b|A(?![a-zA-Z])|\bB\b|B(?![a-zA-Z])/g, (name) =>
          way(name === 'A' ? a : b),
        ),
      )
    }
  }
  return [...new Set(out)]
}

/** Which sums are learnt: all small ones, and a draw of larger ones. */
export function* sums(random) {
  const upTo = (n) => Math.floor(random() * (n + 1))
  for (let a = 0; a <= 20; a++) {
    for (let b = 0; b <= 20; b++) {
      yield [a, '+', b]
      if (a >= b) yield [a, '-', b]
      if (a <= 12 && b <= 12) yield [a, '×', b]
      if (a > 0 && b > 0 && a <= 12 && b <= 12) yield [a * b, '÷', b]
    }
  }
  for (let i = 0; i < 900; i++) {
    const [a, b] = [upTo(99), upTo(99)]
    yield [a, '+', b]
    yield [Math.max(a, b), '-', Math.min(a, b)]
  }
}
