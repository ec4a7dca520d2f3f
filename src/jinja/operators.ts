/** Arithmetic of Python on numbers, texts and lists. */
import type { Budget } from './budget.ts'
import { notSupported, TemplateError } from './errors.ts'
import { percentFormat } from './percent-format.ts'
import type { Surroundings } from './show.ts'
import { Float, int, Markup, numberOf, Tuple, typeName, Undefined, type Value } from './values.ts'

export type Operator = '+' | '-' | '*' | '/' | '//' | '%' | '**'

/** @throws TemplateError if the values do not go together */
export function operate(operator: Operator, a: Value, b: Value, run: Surroundings): Value {
  if (a instanceof Undefined) return a.fail()
  if (operator === '%' && typeof a === 'string') return percentFormat(a, b, run)
  if (b instanceof Undefined) return b.fail()
  if (operator !== '+' && (a instanceof Markup || b instanceof Markup)) {
    throw notSupported(`"${operator}" with escaped text`)
  }
  const [x, y] = [numberOf(a), numberOf(b)]
  if (x !== undefined && y !== undefined) {
    return compute(operator, x, y, a instanceof Float || b instanceof Float)
  }
  const result =
    operator === '+'
      ? added(a, b, run.budget)
      : operator === '*'
        ? (repeated(a, y, b, run.budget) ?? repeated(b, x, a, run.budget))
        : undefined
  if (result !== undefined) return result
  throw new TemplateError(`"${operator}" does not go with a ${typeName(a)} and a ${typeName(b)}`)
}

/** Text with entities for what HTML would read. */
export function escapeText(text: string, budget: Budget): string {
  budget.make(text.length)
  const escaped = text.replace(/[&<>'"]/g, (character) => ENTITIES[character])
  budget.make(escaped.length - text.length)
  return escaped
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&#39;',
  '"': '&#34;',
}

function added(a: Value, b: Value, budget: Budget): Value | undefined {
  if (a instanceof Markup || b instanceof Markup) {
    const parts = [a, b].map((part) => {
      if (part instanceof Markup) return part.text
      return typeof part === 'string' ? escapeText(part, budget) : undefined
    })
    if (parts.includes(undefined)) return undefined
    const text = parts.join('')
    budget.make(text.length)
    return new Markup(text)
  }
  if (typeof a === 'string' && typeof b === 'string') {
    budget.make(a.length + b.length)
    return a + b
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    budget.makeItems(a.length + b.length)
    return [...a, ...b]
  }
  if (!(a instanceof Tuple && b instanceof Tuple)) return undefined
  budget.makeItems(a.items.length + b.items.length)
  return new Tuple([...a.items, ...b.items])
}

function repeated(
  a: Value,
  times: number | undefined,
  by: Value,
  budget: Budget,
): Value | undefined {
  if (times === undefined || by instanceof Float) return undefined
  const count = Math.max(0, times)
  if (typeof a === 'string') {
    budget.make(a.length * count)
    return a === '' ? a : a.repeat(count)
  }
  const items = Array.isArray(a) ? a : a instanceof Tuple ? a.items : undefined
  if (items === undefined) return undefined
  budget.makeItems(items.length * count)
  const all = items.length === 0 ? [] : Array.from({ length: count }, () => items).flat()
  return Array.isArray(a) ? all : new Tuple(all)
}

function compute(operator: Operator, x: number, y: number, isFloat: boolean): Value {
  if (y === 0 && ['/', '//', '%'].includes(operator)) throw new TemplateError('it divides by zero')
  switch (operator) {
    case '+':
      return result(x + y, isFloat)
    case '-':
      return result(x - y, isFloat)
    case '*':
      return result(x * y, isFloat)
    case '/':
      return new Float(x / y)
    case '//':
      return result(isFloat ? floorDivided(x, y) : Math.floor(x / y), isFloat)
    case '%':
      return result(modulo(x, y), isFloat)
    case '**':
      if (x === 0 && y < 0) throw new TemplateError('it divides by zero')
      if (x < 0 && !Number.isInteger(y)) throw notSupported('a complex number')
      return result(power(x, y), isFloat || y < 0)
  }
}

/** Exact, or rounded once: other powers differ in their last digit between JavaScript and Python. */
function power(x: number, y: number): number {
  if (y === 0.5) return Math.sqrt(x)
  if (y === 0 || y === 1) return y === 0 ? 1 : x
  if (y === 2) return x * x
  if (!Number.isInteger(x) || !Number.isInteger(y)) throw notSupported('such a power of a float')
  if (Math.abs(x) <= 1) return y % 2 === 0 ? Math.abs(x) : x
  let product = 1
  for (let i = 0; i < Math.abs(y) && Number.isSafeInteger(product); i++) product *= x
  if (!Number.isSafeInteger(product)) throw notSupported('such a large power')
  return y < 0 ? 1 / product : product
}

function result(value: number, isFloat: boolean): Value {
  return isFloat ? new Float(value) : int(value)
}

/** The remainder has the sign of the divisor. */
function modulo(x: number, y: number): number {
  const rest = x % y
  return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest
}

function floorDivided(x: number, y: number): number {
  return Math.round((x - modulo(x, y)) / y)
}

/** -value and +value. */
export function signed(sign: '-' | '+', value: Value): Value {
  if (value instanceof Undefined) return value.fail()
  const number = numberOf(value)
  if (number === undefined) throw new TemplateError(`a ${typeName(value)} has no sign`)
  const turned = sign === '-' ? -number : number
  return value instanceof Float ? new Float(turned) : int(turned)
}
