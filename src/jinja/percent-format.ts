/** `"%s is %d" % values`, as Python has it. */
import { notSupported, TemplateError } from './errors.ts'
import { floatDigits, intDigits, widthOf } from './number-format.ts'
import { represent, type Surroundings, show } from './show.ts'
import { lengthOf } from './text.ts'
import { Dict, Float, numberOf, Range, Tuple, typeName, Undefined, type Value } from './values.ts'

const CONVERSION = /%(?:\(([^()]*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d*))?[hlL]?(.?)/gsu

export function percentFormat(format: string, given: Value, run: Surroundings): string {
  const values = given instanceof Tuple ? [...given.items] : [given]
  let used = 0
  const next = (): Value => {
    if (used === values.length) throw new TemplateError('a format has more places than values')
    return values[used++]
  }
  let usesNames = false
  const named = (name: string): Value => {
    usesNames = true
    if (!(given instanceof Dict)) throw new TemplateError('a format with names needs a dict')
    const value = given.get(name)
    if (value === undefined) throw new TemplateError(`a format has no value for "${name}"`)
    return value
  }
  run.budget.make(format.length)
  const text = format.replace(
    CONVERSION,
    (_, name?: string, flags = '', width?: string, precision?: string, kind = '') => {
      if (width === '*' || precision === '*') throw notSupported('"*" in a format')
      if (kind === '%') return '%'
      const value = name === undefined ? next() : named(name)
      const columns = widthOf(width)
      run.budget.make(columns)
      return field(value, { flags, kind, precision, columns }, run)
    },
  )
  // What could be asked by a key need not be used up.
  const isMapping =
    given instanceof Dict ||
    Array.isArray(given) ||
    given instanceof Range ||
    given instanceof Undefined
  const isAllUsed = used === values.length || usesNames || isMapping
  if (!isAllUsed) throw new TemplateError('a format has fewer places than values')
  run.budget.make(text.length)
  return text
}

interface Conversion {
  readonly flags: string
  readonly kind: string
  readonly precision: string | undefined
  readonly columns: number
}

function field(
  value: Value,
  { flags, kind, precision, columns }: Conversion,
  run: Surroundings,
): string {
  const digits = precision === undefined ? undefined : widthOf(precision)
  if (kind === 's' || kind === 'r' || kind === 'a') {
    if (kind === 'a') throw notSupported('"%a" in a format')
    const text = kind === 's' ? show(value, run) : represent(value, run)
    const cut = digits === undefined ? text : Array.from(text).slice(0, digits).join('')
    return padded('', cut, flags.replace('0', ''), columns)
  }
  if (kind === 'c') {
    const text = typeof value === 'number' ? String.fromCodePoint(value) : show(value, run)
    if (lengthOf(text) !== 1) throw new TemplateError('"%c" needs one character')
    return padded('', text, flags.replace('0', ''), columns)
  }
  if (value instanceof Undefined) return value.fail()
  const number = numberOf(value)
  if (number === undefined)
    throw new TemplateError(`"%${kind}" needs a number, not a ${typeName(value)}`)
  const alternate = flags.includes('#')
  if ('diu'.includes(kind) || 'oxX'.includes(kind)) {
    if (value instanceof Float && !'diu'.includes(kind))
      throw new TemplateError(`"%${kind}" needs an int`)
    const base = alternate && 'oxX'.includes(kind) ? `0${kind}` : ''
    const text = intDigits(Math.trunc(number), kind).padStart(digits ?? 0, '0')
    return padded(signOf(number, flags) + base, text, flags, columns)
  }
  if ('eEfFgG'.includes(kind) && kind !== '') {
    return padded(
      signOf(number, flags),
      floatDigits(number, kind, digits ?? 6, alternate),
      flags,
      columns,
    )
  }
  throw new TemplateError(`"%${kind}" is no conversion of a format`)
}

function signOf(number: number, flags: string): string {
  if (number < 0 || Object.is(number, -0)) return '-'
  return flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : ''
}

function padded(sign: string, text: string, flags: string, columns: number): string {
  const missing = Math.max(0, columns - sign.length - lengthOf(text))
  if (flags.includes('-')) return sign + text + ' '.repeat(missing)
  return flags.includes('0') ? sign + '0'.repeat(missing) + text : ' '.repeat(missing) + sign + text
}
