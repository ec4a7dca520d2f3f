/** Filters on texts and numbers, and the list of all. */
import { bind, intArgument, numberArgument, textArgument } from './arguments.ts'
import { COLLECTION_FILTERS, lengthOfValue } from './collection-filters.ts'
import { notSupported, TemplateError } from './errors.ts'
import type { Filter, Interpreter } from './interpreter.ts'
import { toJson } from './json.ts'
import { replaced, stripCharacters } from './methods.ts'
import { fixedNumber } from './number-format.ts'
import { escapeText } from './operators.ts'
import { percentFormat } from './percent-format.ts'
import { show } from './show.ts'
import { capitalized, charactersOf, lengthOf, splitLines } from './text.ts'
import {
  type Arguments,
  Dict,
  Float,
  int,
  isTrue,
  Markup,
  numberOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.ts'

/** A filter of the text that a value shows as, without arguments. Python's texts that are escaped stay so. */
function ofText(change: (text: string) => string, staysEscaped = true): Filter {
  return (value, args, { run }) => {
    bind('a filter', [], args)
    const text = show(value, run)
    run.budget.make(text.length)
    const changed = change(text)
    return value instanceof Markup && staysEscaped ? new Markup(changed) : changed
  }
}

const escaped: Filter = (value, args, { run }) => {
  bind('escape', [], args)
  return value instanceof Markup ? value : new Markup(escapeText(show(value, run), run.budget))
}

const fallback: Filter = (value, args) => {
  const [other = '', always = false] = bind('default', ['default_value?', 'boolean?'], args)
  return value instanceof Undefined || (isTrue(always) && !isTrue(value)) ? other : value
}

const TEXT_FILTERS: readonly (readonly [string, Filter])[] = [
  ['upper', ofText((text) => text.toUpperCase())],
  ['lower', ofText((text) => text.toLowerCase())],
  ['capitalize', ofText(capitalized)],
  [
    'title',
    ofText((text) => {
      const words = text.split(/([-\s({[<]+)/)
      return words.map((word) => upperFirst(word)).join('')
    }, false),
  ],
  [
    'string',
    (value, args, { run }) => {
      bind('string', [], args)
      return value instanceof Markup ? value : show(value, run)
    },
  ],
  [
    'wordcount',
    (value, args, { run }) => {
      bind('wordcount', [], args)
      const text = show(value, run)
      run.budget.makeItems(text.length)
      return (text.match(/[\p{L}\p{N}_]+/gu) ?? []).length
    },
  ],
  ['escape', escaped],
  ['e', escaped],
  [
    'forceescape',
    (value, args, interpreter) =>
      escaped(value instanceof Markup ? value.text : value, args, interpreter),
  ],
  [
    'safe',
    (value, args, { run }) => {
      bind('safe', [], args)
      return new Markup(show(value, run))
    },
  ],
  ['default', fallback],
  ['d', fallback],
  [
    'trim',
    (value, args, { run }) => {
      const [characters = null] = bind('trim', ['chars?'], args)
      const text = show(value, run)
      run.budget.make(text.length)
      const stripped = stripCharacters(text, characters, true, true)
      return value instanceof Markup ? new Markup(stripped) : stripped
    },
  ],
  [
    'replace',
    (value, args, { run }) => {
      const [from, to, count = null] = bind('replace', ['old', 'new', 'count?'], args)
      const most = count === null ? -1 : intArgument('replace', count)
      return replaced(
        show(value, run),
        show(from as Value, run),
        show(to as Value, run),
        most,
        run.budget,
      )
    },
  ],
  [
    'format',
    (value, args, { run }) => {
      const { positional, named } = args
      if (positional.length > 0 && named.size > 0)
        throw new TemplateError('format is given names and places')
      const values = named.size > 0 ? Dict.of(named) : new Tuple(positional)
      return percentFormat(show(value, run), values, run)
    },
  ],
  [
    'center',
    (value, args, { run }) => {
      const [given = 80] = bind('center', ['width?'], args)
      const text = show(value, run)
      const width = intArgument('center', given)
      const missing = Math.max(0, width - lengthOf(text))
      run.budget.make(text.length + missing)
      const left = (missing >> 1) + (missing & width & 1)
      return ' '.repeat(left) + text + ' '.repeat(missing - left)
    },
  ],
  ['indent', indented],
  ['truncate', truncated],
  ['urlencode', urlEncoded],
  [
    'tojson',
    (value, args, { run }) => {
      const names = ['ensure_ascii?', 'indent?', 'separators?', 'sort_keys?']
      const [ensureAscii = false, indent = null, separators = null, sortKeys = false] = bind(
        'tojson',
        names,
        args,
      )
      const pair = Array.isArray(separators)
        ? separators
        : separators instanceof Tuple
          ? separators.items
          : undefined
      if (separators !== null && pair?.length !== 2)
        throw new TemplateError('tojson needs two separators')
      const [items, keys] = pair?.map((text) => textArgument('tojson', text)) ?? [
        indent === null ? ', ' : ',',
        ': ',
      ]
      const style = {
        ensureAscii: isTrue(ensureAscii),
        indent: indent === null ? undefined : indentOf('tojson', indent),
        itemSeparator: items,
        keySeparator: keys,
        sortKeys: isTrue(sortKeys),
      }
      return toJson(value, style, run)
    },
  ],
  [
    'abs',
    (value, args) => {
      bind('abs', [], args)
      const size = Math.abs(numberArgument('abs', value))
      return value instanceof Float ? new Float(size) : size
    },
  ],
  ['round', rounded],
  ['int', toInt],
  [
    'float',
    (value, args) => {
      const [other = new Float(0)] = bind('float', ['default?'], args)
      const number = floatOf(value)
      return number === undefined ? other : new Float(number)
    },
  ],
]

function upperFirst(word: string): string {
  const [first = '', ...others] = charactersOf(word)
  return first.toUpperCase() + others.join('').toLowerCase()
}

/** Spaces, or the text itself, that a level is indented by. */
function indentOf(what: string, value: Value): string {
  if (typeof value === 'string') return value
  const width = intArgument(what, value)
  if (width > 1000) throw new TemplateError(`${what} indents by ${width} columns`)
  return ' '.repeat(Math.max(0, width))
}

function indented(value: Value, args: Arguments, { run }: Interpreter): Value {
  const names = ['width?', 'first?', 'blank?']
  const [width = 4, first = false, blank = false] = bind('indent', names, args)
  const by = indentOf('indent', width)
  const lines = splitLines(`${textArgument('indent', value)}\n`)
  run.budget.make(lines.reduce((sum, line) => sum + line.length + by.length + 1, 0))
  const rest = lines.map((line, i) => (i > 0 && (line !== '' || isTrue(blank)) ? by + line : line))
  return (isTrue(first) ? by : '') + rest.join('\n')
}

function truncated(value: Value, args: Arguments, interpreter: Interpreter): Value {
  const names = ['length?', 'killwords?', 'end?', 'leeway?']
  const [given = 255, kill = false, ending = '...', spare = null] = bind('truncate', names, args)
  const length = intArgument('truncate', given)
  const end = textArgument('truncate', ending)
  const leeway = spare === null ? 5 : intArgument('truncate', spare)
  if (length < lengthOf(end) || leeway < 0) throw new TemplateError('truncate leaves no room')
  if (lengthOfValue(value, interpreter) <= length + leeway) return value
  const text = textArgument('truncate', value)
  interpreter.run.budget.make(text.length)
  const characters = [...charactersOf(text)]
  const cut = characters.slice(0, length - lengthOf(end)).join('')
  const space = cut.lastIndexOf(' ')
  return (isTrue(kill) || space < 0 ? cut : cut.slice(0, space)) + end
}

function urlEncoded(value: Value, args: Arguments, { run }: Interpreter): Value {
  bind('urlencode', [], args)
  if (typeof value !== 'string' && numberOf(value) === undefined) {
    throw notSupported(`urlencode of a ${typeName(value)}`)
  }
  const text = show(value, run)
  run.budget.make(3 * text.length)
  if (/\p{Cs}/u.test(text)) throw new TemplateError('half a character is encoded')
  const other = (c: string) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, other)
    .replaceAll('%2F', '/')
}

/** Round half to even, as Python does; a float stays one. */
function rounded(value: Value, args: Arguments): Value {
  const [precision = 0, method = 'common'] = bind('round', ['precision?', 'method?'], args)
  const number = numberArgument('round', value)
  const digits = intArgument('round', precision)
  const isFloat = value instanceof Float
  if (method === 'common') {
    if (!isFloat && digits >= 0) return int(number)
    if (digits < 0) throw notSupported('round to tens')
    return new Float(Number.isFinite(number) ? fixedNumber(number, digits) : number)
  }
  if (method !== 'ceil' && method !== 'floor') throw new TemplateError('round has another method')
  const scale = 10 ** digits
  const scaled = method === 'ceil' ? Math.ceil(number * scale) : Math.floor(number * scale)
  return new Float(scaled / scale)
}

function toInt(value: Value, args: Arguments): Value {
  const [other = 0, given = 10] = bind('int', ['default?', 'base?'], args)
  const base = intArgument('int', given)
  if (typeof value === 'string' && base !== 10) {
    if (base !== 2 && base !== 8 && base !== 16) throw notSupported(`int with base ${base}`)
    const prefix = { 2: '0b', 8: '0o', 16: '0x' }[base]
    const [, sign = '', digits = ''] =
      /^([+-]?)(?:0[box])?([\da-f]+(?:_[\da-f]+)*)$/i.exec(value.trim()) ?? []
    const number = Number(prefix + digits.replaceAll('_', ''))
    if (digits !== '' && !Number.isNaN(number)) return int(sign === '-' ? -number : number)
  }
  const whole = typeof value === 'string' && /^\s*[+-]?\d+(_\d+)*\s*$/.test(value)
  const number = whole ? Number((value as string).replaceAll('_', '')) : floatOf(value)
  if (number === undefined || !Number.isFinite(number)) {
    if (value instanceof Undefined) return value.fail()
    return other
  }
  return int(Math.trunc(number))
}

/** float() of a value; undefined where Python has none. */
function floatOf(value: Value): number | undefined {
  if (value instanceof Undefined) return value.fail()
  if (value instanceof Markup) return floatOf(value.text)
  if (typeof value !== 'string') return numberOf(value)
  const text = value.trim().replace(/(\d)_(?=\d)/g, '$1')
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text)
  const [, sign = '', name = ''] = /^([+-]?)(inf|infinity|nan)$/i.exec(text) ?? []
  if (name === '') return undefined
  const number = name.toLowerCase() === 'nan' ? Number.NaN : Number.POSITIVE_INFINITY
  return sign === '-' ? -number : number
}

export const FILTERS: ReadonlyMap<string, Filter> = new Map([
  ...TEXT_FILTERS,
  ...COLLECTION_FILTERS,
])

/** Filters of jinja2 that are not here: their results are random, or HTML, or addresses. */
export const OTHER_FILTERS: ReadonlySet<string> = new Set(
  'random pprint urlize xmlattr striptags filesizeformat wordwrap'.split(' '),
)
