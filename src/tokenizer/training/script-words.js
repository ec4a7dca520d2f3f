/**
 * SCRIPTS_SPLIT (regex/known.ts) by a table of what each character is, several times as fast as the engine's expressions.
 * Plain JavaScript, as it runs in workers too; script-words.d.ts describes it.
 */

/** What a character is; the first bit says that it has been looked up. */
const KNOWN = 1
/** Of words with a space in front of them. */
const LETTER = 2
/** In such words, behind their first letter. */
const INSIDE = 4
const HIRAGANA = 8
const HAN = 16
const KATAKANA = 32
const NUMBER = 64
const SPACE = 128
const LINE_END = 256
/** No letter, number or white space. */
const SIGN = 512
/** Any letter. */
const ALPHABETIC = 1024

const TESTS = [
  [INSIDE, /\p{M}/u],
  [HIRAGANA, /[\u3041-\u309f\u30fc]/u],
  [HAN, /[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{323af}]/u],
  [KATAKANA, /[\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]/u],
  [NUMBER, /\p{N}/u],
  [SPACE, /\p{White_Space}/u],
  [LINE_END, /[\r\n]/u],
  [SIGN, /[^\p{White_Space}\p{L}\p{N}]/u],
  [ALPHABETIC, /\p{L}/u],
]
const SCRIPTS = HIRAGANA | HAN | KATAKANA

const LOW = new Uint16Array(0x10000)
/** Of the other planes, which hardly any text has. */
const HIGH = new Map()

function lookUp(point) {
  const character = String.fromCodePoint(point)
  let found = KNOWN
  for (const [kind, test] of TESTS) if (test.test(character)) found |= kind
  if ((found & ALPHABETIC) !== 0 && (found & SCRIPTS) === 0) found |= LETTER | INSIDE
  if (point < LOW.length) LOW[point] = found
  else HIGH.set(point, found)
  return found
}

/** Of the character at a place; 0 at the end. */
function kindAt(units, at, size) {
  if (at >= size) return 0
  const unit = units[at]
  if ((unit & 0xfc00) !== 0xd800) return LOW[unit] || lookUp(unit)
  const point = pointAt(units, at, size)
  return (point < LOW.length ? LOW[point] : HIGH.get(point)) || lookUp(point)
}

/** Of a first half of a pair; itself without its second. */
function pointAt(units, at, size) {
  const first = units[at]
  const second = at + 1 < size ? units[at + 1] : 0
  if ((second & 0xfc00) !== 0xdc00) return first
  return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
}

/** The place behind the character at a place. */
function behindOne(units, at, size) {
  const isPair = (units[at] & 0xfc00) === 0xd800 && pointAt(units, at, size) > 0xffff
  return at + (isPair ? 2 : 1)
}

/** The place behind all characters from `at` on that are of some kinds. */
function behind(units, at, size, kinds) {
  for (;;) {
    // Nothing that is looked up is 0, and pairs begin with what was never looked up here.
    while (at < size && (LOW[units[at]] & kinds) !== 0 && (units[at] & 0xfc00) !== 0xd800) at++
    if ((kindAt(units, at, size) & kinds) === 0) return at
    at = behindOne(units, at, size)
  }
}

const [APOSTROPHE, QUOTE, BLANK] = [0x27, 0x2019, 0x20]
/** What may follow an apostrophe, by its first letter. */
const CONTRACTIONS = new Map(
  ['s', 'd', 'm', 't', 'll', 've', 're'].map((end) => [
    end.charCodeAt(0),
    Array.from(end, (letter) => letter.charCodeAt(0)),
  ]),
)

/** The end of 's, n't and the like at a place; the place itself where there is none. */
function contractionEnd(units, at, size) {
  const end = CONTRACTIONS.get(units[at + 1])
  if (end === undefined || at + 1 + end.length > size) return at
  if (end.some((letter, i) => units[at + 1 + i] !== letter)) return at
  const after = at + 1 + end.length
  return (kindAt(units, after, size) & ALPHABETIC) === 0 ? after : at
}

function spaceEnd(units, at, size) {
  const end = behind(units, at, size, SPACE)
  let line = end
  while (line > at && (LOW[units[line - 1]] & LINE_END) === 0) line--
  if (line > at) return line
  // The last one is left for what follows it.
  return end < size && end - at > 1 ? end - 1 : end
}

function signsEnd(units, at, size) {
  return behind(units, behind(units, at, size, SIGN), size, LINE_END)
}

function numberEnd(units, at, size) {
  let end = at
  for (let i = 0; i < 3 && (kindAt(units, end, size) & NUMBER) !== 0; i++) {
    end = behindOne(units, end, size)
  }
  return end
}

export function scriptWordEnd(units, at, size) {
  const unit = units[at]
  if (unit === BLANK) {
    const next = kindAt(units, at + 1, size)
    if ((next & LETTER) !== 0) return behind(units, at + 1, size, INSIDE)
    return (next & SIGN) !== 0 ? signsEnd(units, at + 1, size) : spaceEnd(units, at, size)
  }
  const kind = kindAt(units, at, size)
  if ((kind & LETTER) !== 0) return behind(units, at, size, INSIDE)
  if ((kind & HIRAGANA) !== 0) return behind(units, at, size, HIRAGANA)
  if ((kind & HAN) !== 0) return behind(units, at, size, HAN)
  if ((kind & KATAKANA) !== 0) return behind(units, at, size, KATAKANA)
  if (unit === APOSTROPHE || unit === QUOTE) {
    const end = contractionEnd(units, at, size)
    if (end > at) return end
  }
  if ((kind & NUMBER) !== 0) return numberEnd(units, at, size)
  return (kind & SIGN) !== 0 ? signsEnd(units, at, size) : spaceEnd(units, at, size)
}
