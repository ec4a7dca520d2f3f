/** `"{} is {name:>8}".format(...)`, as Python and the sandbox of transformers have it. */
import { notSupported, TemplateError } from './errors.ts'
import { floatDigits, intDigits, widthOf } from './number-format.ts'
import { floatText, represent, type Surroundings, show } from './show.ts'
import { charactersOf, lengthOf } from './text.ts'
import { type Arguments, Float, numberOf, typeName, Undefined, type Value } from './values.ts'

/** How a part of a value is found; the interpreter's rules. */
export interface Lookups {
  attribute(value: Value, name: string): Value
  item(value: Value, key: Value): Value
}

const SPECIFICATION =
  /^(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/su

export function braceFormat(
  format: string,
  { positional, named }: Arguments,
  lookups: Lookups,
  run: Surroundings,
): string {
  let next: number | undefined = 0
  run.budget.make(format.length)
  const valueAt = (path: string): Value => {
    const [, first = '', rest = ''] = /^([^.[]*)(.*)$/s.exec(path) ?? []
    let place: string | number = first
    if (first === '') {
      if (next === undefined) throw new TemplateError('a format numbers only some of its places')
      place = next++
    } else if (/^\d+$/.test(first)) {
      if (next !== undefined && next > 0) {
        throw new TemplateError('a format numbers only some of its places')
      }
      next = undefined
      place = Number(first)
    }
    const value = typeof place === 'number' ? positional[place] : named.get(place)
    if (value === undefined) throw new TemplateError(`a format has no value for "${place}"`)
    return [...rest.matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)].reduce((found: Value, [, name, key]) => {
      if (name !== undefined) return lookups.attribute(found, name)
      return lookups.item(found, /^\d+$/.test(key) ? Number(key) : key)
    }, value)
  }
  const text = fieldsOf(format)
    .map((part) => {
      if (typeof part === 'string') return part
      const [, path = '', conversion, specification = ''] =
        /^([^!:]*)(?:!([^:]*))?(?::(.*))?$/s.exec(part.field) ?? []
      let value = valueAt(path)
      if (conversion === 's') value = show(value, run)
      else if (conversion === 'r') value = represent(value, run)
      else if (conversion !== undefined) throw notSupported(`"!${conversion}" in a format`)
      if (specification.includes('{')) throw notSupported('a format inside a format')
      return formatValue(value, specification, run)
    })
    .join('')
  run.budget.make(text.length)
  return text
}

/** Plain parts and the insides of braces. */
function fieldsOf(format: string): (string | { field: string })[] {
  const parts: (string | { field: string })[] = []
  for (let at = 0; at < format.length; ) {
    const open = format.slice(at).search(/[{}]/)
    const end = open < 0 ? format.length : at + open
    if (end > at) parts.push(format.slice(at, end))
    at = end
    if (at === format.length) break
    if (format[at] === format[at + 1]) {
      parts.push(format[at])
      at += 2
      continue
    }
    let depth = 0
    let close = at
    for (; close < format.length; close++) {
      if (format[close] === '{') depth++
      else if (format[close] === '}' && --depth === 0) break
    }
    if (format[at] === '}' || close === format.length) {
      throw new TemplateError('a format has a brace without its other one')
    }
    parts.push({ field: format.slice(at + 1, close) })
    at = close + 1
  }
  return parts
}

/** format(value, specification). */
function formatValue(value: Value, specification: string, run: Surroundings): string {
  if (specification === '') return show(value, run)
  const parts = SPECIFICATION.exec(specification)
  if (parts === null) throw new TemplateError(`"${specification}" is no format of a value`)
  const [, fill, align, sign = '-', alternate, zero, width, grouping, precision, kind] = parts
  const number = numberOf(value)
  const columns = widthOf(width)
  run.budget.make(columns)
  if (number === undefined) {
    if (typeof value !== 'string') {
      if (value instanceof Undefined) return value.fail()
      throw new TemplateError(`a ${typeName(value)} has no format "${specification}"`)
    }
    if (
      (kind !== undefined && kind !== 's') ||
      grouping ||
      alternate ||
      parts[3] ||
      align === '='
    ) {
      throw new TemplateError(`a text has no format "${specification}"`)
    }
    const cut =
      precision === undefined
        ? value
        : [...charactersOf(value)].slice(0, Number(precision)).join('')
    return aligned('', cut, columns, align ?? '<', fill ?? (zero ? '0' : ' '))
  }
  const isNegative = number < 0 || Object.is(number, -0)
  const shown = isNegative ? '-' : sign === '-' ? '' : sign
  const body = digitsOf(value, number, { kind, precision, alternate: alternate !== undefined })
  const grouped = grouping === undefined ? body : group(body, grouping)
  if (grouping !== undefined && zero !== undefined)
    throw notSupported(`the format "${specification}"`)
  const prefix = alternate && 'boxX'.includes(kind ?? ' ') ? `0${kind}` : ''
  const place = align ?? (zero ? '=' : '>')
  return aligned(shown + prefix, grouped, columns, place, fill ?? (zero ? '0' : ' '))
}

function digitsOf(
  value: Value,
  number: number,
  {
    kind,
    precision,
    alternate,
  }: { kind: string | undefined; precision: string | undefined; alternate: boolean },
): string {
  const digits = precision === undefined ? undefined : widthOf(precision)
  const isFloatKind = kind !== undefined && 'eEfFgG%'.includes(kind)
  if (kind === 'n' || kind === 'c') throw notSupported(`"${kind}" in a format`)
  if (value instanceof Float && kind === undefined) {
    if (digits === undefined) return floatText(Math.abs(number))
    throw notSupported('a precision without a kind in a format')
  }
  if (isFloatKind) {
    if (kind === '%') return `${floatDigits(number * 100, 'f', digits ?? 6)}%`
    return floatDigits(number, kind, digits ?? 6, alternate)
  }
  if (value instanceof Float || kind === 's' || digits !== undefined) {
    throw new TemplateError(`a number has no format "${kind ?? ''}"`)
  }
  return typeof value === 'boolean' && kind === undefined
    ? String(number)
    : intDigits(number, kind ?? 'd')
}

/** Digits in groups of three, before a fraction or an exponent. */
function group(digits: string, mark: string): string {
  const [, whole = '', rest = ''] = /^(\d+)(.*)$/.exec(digits) ?? []
  return whole.replace(/\B(?=(\d{3})+$)/g, mark) + rest
}

function aligned(sign: string, text: string, columns: number, align: string, fill: string): string {
  const missing = Math.max(0, columns - sign.length - lengthOf(text))
  if (align === '=') return sign + fill.repeat(missing) + text
  const left = align === '<' ? 0 : align === '>' ? missing : Math.floor(missing / 2)
  return fill.repeat(left) + sign + text + fill.repeat(missing - left)
}
