/**
 * Patterns of JSON Schema, which are regular expressions of JavaScript that may match anywhere in a text, as
 * expressions of whole texts.
 *
 * Each part is put in front of all that follows it, so that an assertion about what follows is an intersection.
 */
import { ANY, complement, type Ranges } from './char-ranges.ts'
import type { Expression, Expressions } from './expression.ts'

/** A part of a pattern, with all that follows it, as an expression. */
type Part = (rest: Expression) => Expression

const MOST_CHARACTERS = 1000
const MOST_REPEATS = 1000
const MOST_DEPTH = 32

const DIGITS: Ranges = [[0x30, 0x39]]
const WORD: Ranges = [...DIGITS, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]
const SPACES: Ranges = [
  [9, 13],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]
const LINE_ENDS: Ranges = [
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
]
const SHORTHANDS: ReadonlyMap<string, Ranges> = new Map([
  ['d', DIGITS],
  ['w', WORD],
  ['s', SPACES],
  ['D', complement(DIGITS)],
  ['W', complement(WORD)],
  ['S', complement(SPACES)],
])
const CONTROLS: ReadonlyMap<string, number> = new Map([
  ['t', 9],
  ['n', 10],
  ['v', 11],
  ['f', 12],
  ['r', 13],
  ['0', 0],
])

/** @throws Error with the reason in words, to follow the pattern's place */
export function expressionOf(pattern: string, make: Expressions): Expression {
  if (pattern.length > MOST_CHARACTERS) {
    throw new Error(`has a pattern of more than ${MOST_CHARACTERS} characters`)
  }
  return new PatternParser(pattern, make).whole()
}

/** @throws SyntaxError for what is no pattern */
function flagsOf(pattern: string): string {
  try {
    new RegExp(pattern, 'u')
    return 'u'
  } catch {
    new RegExp(pattern)
    return ''
  }
}

/** Of patterns that JavaScript has found right, so that little can be wrong. */
class PatternParser {
  readonly #text: readonly string[]
  readonly #make: Expressions
  #at = 0
  #depth = 0
  /** Assertions so far: what has some cannot be repeated. */
  #assertions = 0

  constructor(pattern: string, make: Expressions) {
    try {
      flagsOf(pattern)
    } catch {
      throw new Error('has a pattern that is no regular expression of JavaScript')
    }
    this.#text = Array.from(pattern)
    this.#make = make
  }

  whole(): Expression {
    const { all, or } = this.#make
    const options: Expression[] = []
    do {
      let front = all
      while (this.#take('^')) front = this.#make.empty
      const rest = this.#sequence()(all)
      options.push(this.#make.chain(front, rest))
    } while (this.#take('|'))
    return or.call(this.#make, options)
  }

  #choice(): Part {
    if (++this.#depth > MOST_DEPTH) throw unsupported('groups so deep in each other')
    const options: Part[] = []
    do options.push(this.#sequence())
    while (this.#take('|'))
    this.#depth--
    if (options.length === 1) return options[0]
    return (rest) => this.#make.or(options.map((option) => option(rest)))
  }

  #sequence(): Part {
    const parts: Part[] = []
    while (this.#at < this.#text.length && !'|)'.includes(this.#text[this.#at])) {
      parts.push(this.#quantified())
    }
    return (rest) => parts.reduceRight((behind, part) => part(behind), rest)
  }

  #quantified(): Part {
    const before = this.#assertions
    const part = this.#atom()
    const [min, max] = this.#quantifier()
    if (min === 1 && max === 1) return part
    if (this.#assertions > before) throw unsupported('an assertion that is repeated')
    if (min > MOST_REPEATS || (max > MOST_REPEATS && max !== Number.POSITIVE_INFINITY)) {
      throw unsupported(`more than ${MOST_REPEATS} repetitions`)
    }
    const { empty } = this.#make
    return (rest) => this.#make.chain(this.#make.repeat(part(empty), min, max), rest)
  }

  #quantifier(): readonly [number, number] {
    let bounds: readonly [number, number] = [1, 1]
    if (this.#take('*')) bounds = [0, Number.POSITIVE_INFINITY]
    else if (this.#take('+')) bounds = [1, Number.POSITIVE_INFINITY]
    else if (this.#take('?')) bounds = [0, 1]
    else {
      const counted = /^\{(\d{1,9})(,(\d{1,9})?)?\}/.exec(this.#ahead(24))
      if (counted === null) return bounds
      const [text, min, comma, max] = counted
      this.#at += text.length
      const most = comma === undefined ? Number(min) : Number(max ?? Number.POSITIVE_INFINITY)
      bounds = [Number(min), most]
    }
    this.#take('?') // lazy: the same texts
    return bounds
  }

  #atom(): Part {
    const make = this.#make
    const one = (ranges: Ranges): Part => {
      const set = make.set(ranges)
      return (rest) => make.chain(set, rest)
    }
    const character = this.#text[this.#at++]
    if (character === '.') return one(complement(LINE_ENDS))
    if (character === '[') return one(this.#class())
    if (character === '(') return this.#group()
    if (character === '\\') return one(this.#escape(false))
    if (character === '$') {
      this.#assertions++
      return (rest) => (rest.isNullable ? make.empty : make.none)
    }
    if (character === '^') throw unsupported('a ^ that is not at its front')
    return one(single(character))
  }

  #group(): Part {
    const make = this.#make
    const isAhead = this.#take('?=')
    const isNotAhead = !isAhead && this.#take('?!')
    if (!isAhead && !isNotAhead && !this.#take('?:')) {
      const name = /^\?<[\p{L}\p{N}_$]+>/u.exec(this.#ahead(80))
      if (name !== null) this.#at += name[0].length
      else if (this.#ahead(1) === '?') throw unsupported('a group that looks behind, or has flags')
    }
    const inner = this.#choice()
    this.#take(')')
    if (!isAhead && !isNotAhead) return inner
    this.#assertions++
    return (rest) => {
      const ahead = inner(make.all)
      return make.and([isAhead ? ahead : make.not(ahead), rest])
    }
  }

  #class(): Ranges {
    const isNegated = this.#take('^')
    const ranges: (readonly [number, number])[] = []
    while (!this.#take(']')) {
      const first = this.#classMember()
      if (this.#ahead(1) === '-' && this.#text[this.#at + 1] !== ']' && first.length === 1) {
        const back = this.#at
        this.#at++
        const last = this.#classMember()
        if (first[0][0] === first[0][1] && last.length === 1 && last[0][0] === last[0][1]) {
          ranges.push([first[0][0], last[0][0]])
          continue
        }
        this.#at = back
      }
      ranges.push(...first)
    }
    return isNegated ? complement(ranges) : ranges
  }

  #classMember(): Ranges {
    const character = this.#text[this.#at++]
    return character === '\\' ? this.#escape(true) : single(character)
  }

  #escape(inClass: boolean): Ranges {
    const character = this.#text[this.#at++]
    const shorthand = SHORTHANDS.get(character)
    if (shorthand !== undefined) return shorthand
    if (character === 'x' || character === 'u') return single(this.#hexadecimal(character))
    if (character === 'p' || character === 'P') return this.#property(character === 'P')
    if (inClass && character === 'b') return [[8, 8]]
    if (/[bBk1-9c]/.test(character)) throw unsupported(`\\${character}`)
    const control = CONTROLS.get(character)
    return control === undefined ? single(character) : [[control, control]]
  }

  #hexadecimal(kind: string): string {
    const form = kind === 'x' ? /^[0-9a-f]{2}/i : /^(?:\{([0-9a-f]{1,6})\}|[0-9a-f]{4})/i
    const found = form.exec(this.#ahead(8))
    if (found === null) return kind
    this.#at += found[0].length
    return String.fromCodePoint(Number.parseInt(found[1] ?? found[0], 16))
  }

  #property(isNegated: boolean): Ranges {
    const name = PROPERTY.exec(this.#ahead(40))?.[0]
    if (name === undefined) throw unsupported(`\\p${this.#ahead(20)}`)
    this.#at += name.length
    const ranges = rangesOfProperty(name)
    return isNegated ? complement(ranges) : ranges
  }

  #ahead(count: number): string {
    return this.#text.slice(this.#at, this.#at + count).join('')
  }

  #take(text: string): boolean {
    if (this.#ahead(text.length) !== text) return false
    this.#at += text.length
    return true
  }
}

/** Those that are asked for; each takes a moment the first time. */
const PROPERTY =
  /^\{(?:[LMNPSZ][a-z]?|Alphabetic|White_Space|(?:sc|Script)=(?:Arabic|Cyrillic|Greek|Han|Hangul|Hebrew|Hiragana|Katakana|Latin|Thai))\}/
const properties = new Map<string, Ranges>()

/** Asked of the JavaScript engine, once for each. */
function rangesOfProperty(name: string): Ranges {
  const known = properties.get(name)
  if (known !== undefined) return known
  const expression = new RegExp(`^\\p${name}$`, 'u')
  const ranges: [number, number][] = []
  for (const [from, to] of ANY) {
    for (let code = from; code <= to; code++) {
      if (!expression.test(String.fromCodePoint(code))) continue
      const before = ranges.at(-1)
      if (before !== undefined && before[1] === code - 1) before[1] = code
      else ranges.push([code, code])
    }
  }
  properties.set(name, ranges)
  return ranges
}

function single(character: string): Ranges {
  const code = character.codePointAt(0) ?? 0
  return [[code, code]]
}

function unsupported(what: string): Error {
  return new Error(`has a pattern with ${what}, which no answer can be held to`)
}
