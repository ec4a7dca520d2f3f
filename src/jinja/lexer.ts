/**
 * Cuts a template into tokens, as jinja2 does with the settings of transformers: `trim_blocks` (the line
 * end behind a tag goes), `lstrip_blocks` (so do spaces in front of a tag on its line), and without
 * `keep_trailing_newline` (so does one line end at the end of the template).
 */
import { notSupported, TemplateError } from './errors.ts'
import { endOfSpace, isSpace, stripEnd } from './text.ts'

export interface Token {
  readonly type:
    | 'data'
    | 'open'
    | 'close'
    | 'name'
    | 'string'
    | 'integer'
    | 'float'
    | 'operator'
    | 'end'
  /** A tag's kind for `open` and `close`: "{{" or "{%". */
  readonly text: string
  readonly line: number
}

const RAW = /^\{%([-+]?)\s*raw\s*(?:-%\}\s*|%\})/
const END_RAW = /\{%([-+]?)\s*endraw\s*(?:\+%\}|(-%\})|%\}\n?)/g
const NAME = /[\p{L}\p{Nl}_\p{Nd}\p{Mn}\p{Mc}\p{Pc}]+/uy
const FIRST_OF_NAME = /^[\p{L}\p{Nl}_]/u
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy
const FLOAT = /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy
const STRING = /'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"/sy
const OPERATOR = /\/\/|\*\*|[=!<>]=|[-+/*%~[\](){}<>=.:|,;]/y

const PAIRS: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

/** @throws TemplateError naming the line */
export function tokenize(source: string): Token[] {
  return new Lexer(source.replace(/\r\n|\r/g, '\n').replace(/\n$/, '')).run()
}

class Lexer {
  readonly #source: string
  readonly #tokens: Token[] = []
  #at = 0
  #line = 1
  /** Whether what was read last ended in a line end, so that spaces behind it begin a line. */
  #startsLine = true

  constructor(source: string) {
    this.#source = source
  }

  run(): Token[] {
    const source = this.#source
    while (this.#at < source.length) {
      const open = this.#findTag(this.#at)
      if (open < 0) {
        this.#push('data', source.slice(this.#at))
        break
      }
      const kind = source.slice(open, open + 2)
      const sign = /[-+]/.test(source[open + 2] ?? '') ? source[open + 2] : ''
      this.#data(source.slice(this.#at, open), sign, kind !== '{{')
      const raw = kind === '{%' ? RAW.exec(source.slice(open)) : null
      if (raw !== null) this.#raw(open, raw[0])
      else if (kind === '{#') this.#comment(open, sign)
      else this.#tag(open, kind, sign)
    }
    this.#push('end', '')
    return this.#tokens
  }

  #findTag(from: number): number {
    for (let at = from; ; at++) {
      at = this.#source.indexOf('{', at)
      if (at < 0 || '{%#'.includes(this.#source[at + 1] ?? ' ')) return at
    }
  }

  #push(type: Token['type'], text: string): void {
    if (type !== 'data' || text !== '') this.#tokens.push({ type, text, line: this.#line })
  }

  /** Goes on behind `end`; lines are counted for messages. */
  #moveTo(end: number): void {
    for (let at = this.#at; at < end; at++) if (this.#source[at] === '\n') this.#line++
    this.#startsLine = this.#source[end - 1] === '\n'
    this.#at = end
  }

  /** Text in front of a tag, without what the tag's sign or `lstrip_blocks` take away. */
  #data(text: string, sign: string, isBlock: boolean): void {
    let kept = text
    if (sign === '-') kept = stripEnd(text)
    else if (sign !== '+' && isBlock) {
      const lineStart = text.lastIndexOf('\n') + 1
      const isLine = lineStart > 0 || this.#startsLine
      if (isLine && isSpace(text.slice(lineStart))) kept = text.slice(0, lineStart)
    }
    this.#push('data', kept)
  }

  #comment(open: number, sign: string): void {
    const inside = open + 2 + sign.length
    const close = this.#source.indexOf('#}', inside)
    if (close < 0) this.#fail('a comment without an end')
    const mark = close > inside ? this.#source[close - 1] : ''
    this.#moveTo(this.#behind(close + 2, mark, true))
  }

  /** Where the text behind a tag's end begins, by the sign in it. */
  #behind(end: number, sign: string, trims: boolean): number {
    if (sign === '-') return endOfSpace(this.#source, end)
    return trims && sign !== '+' && this.#source[end] === '\n' ? end + 1 : end
  }

  #raw(open: number, begin: string): void {
    const inside = open + begin.length
    this.#moveTo(inside)
    END_RAW.lastIndex = inside
    const found = END_RAW.exec(this.#source)
    if (found === null) this.#fail('{% raw %} without {% endraw %}')
    this.#data(this.#source.slice(inside, found.index), found[1], true)
    const end = found.index + found[0].length
    this.#moveTo(found[2] === undefined ? end : endOfSpace(this.#source, end))
  }

  #tag(open: number, kind: string, sign: string): void {
    const source = this.#source
    const close = kind === '{{' ? '}}' : '%}'
    this.#moveTo(open + 2 + sign.length)
    this.#push('open', kind)
    const brackets: string[] = []
    for (;;) {
      this.#moveTo(endOfSpace(this.#source, this.#at))
      if (this.#at >= source.length) this.#fail(`"${kind}" without "${close}"`)
      const mark =
        source[this.#at] === '-' || (kind === '{%' && source[this.#at] === '+')
          ? source[this.#at]
          : ''
      if (brackets.length === 0 && source.startsWith(close, this.#at + mark.length)) {
        this.#push('close', kind)
        this.#moveTo(this.#behind(this.#at + mark.length + 2, mark, kind === '{%'))
        return
      }
      this.#token(brackets)
    }
  }

  #token(brackets: string[]): void {
    const float = this.#source[this.#at - 1] === '.' ? undefined : this.#match(FLOAT)
    const integer = float ?? this.#match(INTEGER)
    const name = integer ?? this.#match(NAME)
    const text = name ?? this.#match(STRING)
    const token = text ?? this.#match(OPERATOR)
    if (token === undefined) {
      this.#fail(`"${this.#source[this.#at]}", which is no part of the language`)
    }
    if (integer !== undefined) this.#push(float === undefined ? 'integer' : 'float', token)
    else if (name !== undefined) {
      if (!FIRST_OF_NAME.test(name)) this.#fail(`"${name}", which is no name`)
      this.#push('name', token)
    } else if (text !== undefined) this.#push('string', unescaped(token.slice(1, -1)))
    else {
      if (PAIRS[token] !== undefined) brackets.push(PAIRS[token])
      else if (')]}'.includes(token) && brackets.pop() !== token) {
        this.#fail(`"${token}" without its other one`)
      }
      this.#push('operator', token)
    }
    this.#moveTo(this.#at + token.length)
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#source)?.[0]
  }

  #fail(what: string): never {
    throw new TemplateError(`line ${this.#line} has ${what}`)
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v', a: '\x07' },
  ...{ '\\': '\\', "'": "'", '"': '"', '\n': '' },
}

/** A literal's text: Python's escapes; unknown ones stay as they are. */
function unescaped(text: string): string {
  return text.replace(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|(.))/gs,
    (whole, x?: string, u?: string, long?: string, octal?: string, other?: string) => {
      const code = x ?? u ?? long
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8))
      if (code !== undefined) {
        const point = Number.parseInt(code, 16)
        if (point > 0x10ffff) throw new TemplateError(`it has the escape "${whole}"`)
        return String.fromCodePoint(point)
      }
      if (other === 'N') throw notSupported('an escape by a name')
      if (other !== undefined && 'xuU'.includes(other))
        throw new TemplateError(`it has the escape "${whole}"`)
      return (other === undefined ? undefined : ESCAPES[other]) ?? whole
    },
  )
}
