/** Equality, order and membership as in Python. */
import type { Budget } from './budget.ts'
import { TemplateError } from './errors.ts'
import type { Comparison } from './nodes.ts'
import { compareText } from './text.ts'
import {
  Dict,
  itemsOf,
  Markup,
  numberOf,
  Range,
  readKey,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from './values.ts'

export function isEqual(a: Value, b: Value, budget: Budget): boolean {
  budget.step()
  if (typeof a === 'string' && typeof b === 'string') {
    // Texts of two lengths are told apart at once.
    if (a.length === b.length) budget.read(a.length)
    return a === b
  }
  if (a === b) return true
  if (a instanceof Markup) return isEqual(a.text, b, budget)
  if (b instanceof Markup) return isEqual(a, b.text, budget)
  const [x, y] = [numberOf(a), numberOf(b)]
  if (x !== undefined || y !== undefined) return x === y
  if (Array.isArray(a)) return Array.isArray(b) && areEqual(a, b, budget)
  if (a instanceof Tuple) return b instanceof Tuple && areEqual(a.items, b.items, budget)
  if (a instanceof Dict && b instanceof Dict) {
    return (
      a.size === b.size &&
      a.entries().every(([key, value]) => {
        readKey(key, budget)
        const other = b.get(key)
        return other !== undefined && isEqual(value, other, budget)
      })
    )
  }
  if (a instanceof Range && b instanceof Range) {
    return areEqual(itemsOf(a, budget), itemsOf(b, budget), budget)
  }
  if (
    a instanceof View &&
    b instanceof View &&
    a.kind !== 'dict_values' &&
    b.kind !== 'dict_values'
  ) {
    return (
      a.items.length === b.items.length && a.items.every((item) => isOneOf(item, b.items, budget))
    )
  }
  return a instanceof Undefined && b instanceof Undefined
}

function areEqual(a: readonly Value[], b: readonly Value[], budget: Budget): boolean {
  return a.length === b.length && a.every((item, i) => isEqual(item, b[i], budget))
}

function isOneOf(value: Value, items: readonly Value[], budget: Budget): boolean {
  return items.some((item) => isEqual(item, value, budget))
}

/** Below, at or above 0; NaN where one of the numbers is that. @throws TemplateError for what has no order */
export function order(a: Value, b: Value, budget: Budget): number {
  budget.step()
  const [x, y] = [numberOf(a), numberOf(b)]
  if (x !== undefined && y !== undefined) return x === y ? 0 : x - y
  if (a instanceof Markup) return order(a.text, b, budget)
  if (b instanceof Markup) return order(a, b.text, budget)
  if (typeof a === 'string' && typeof b === 'string') {
    budget.read(Math.min(a.length, b.length))
    return compareText(a, b)
  }
  const lists = [a, b].map((value) => (Array.isArray(value) ? value : undefined))
  const tuples = [a, b].map((value) => (value instanceof Tuple ? value.items : undefined))
  const [left, right] = lists.every(Boolean) ? lists : tuples
  if (left !== undefined && right !== undefined) {
    const at = left.findIndex((item, i) => i >= right.length || !isEqual(item, right[i], budget))
    if (at < 0) return left.length - right.length
    return at < right.length ? order(left[at], right[at], budget) : 1
  }
  for (const value of [a, b]) if (value instanceof Undefined) value.fail()
  throw new TemplateError(`a ${typeName(a)} and a ${typeName(b)} have no order`)
}

/** Python's `in`. */
export function contains(container: Value, value: Value, budget: Budget): boolean {
  if (container instanceof Markup) return contains(container.text, value, budget)
  if (typeof container === 'string') {
    const text = value instanceof Markup ? value.text : value
    if (value instanceof Undefined) return value.fail()
    if (typeof text !== 'string') {
      throw new TemplateError(`a text has texts in it, and cannot have a ${typeName(value)}`)
    }
    budget.read(container.length)
    return container.includes(text)
  }
  if (container instanceof Dict) {
    readKey(value, budget)
    return container.has(value)
  }
  if (container instanceof Range) {
    const number = numberOf(value)
    if (number === undefined) return false
    const place = (number - container.start) / container.step
    return Number.isInteger(place) && place >= 0 && place < container.length
  }
  return isOneOf(value, itemsOf(container, budget), budget)
}

/** One step of a comparison. */
export function holds(operator: Comparison, a: Value, b: Value, budget: Budget): boolean {
  switch (operator) {
    case '==':
      return isEqual(a, b, budget)
    case '!=':
      return !isEqual(a, b, budget)
    case '<':
      return order(a, b, budget) < 0
    case '<=':
      return order(a, b, budget) <= 0
    case '>':
      return order(a, b, budget) > 0
    case '>=':
      return order(a, b, budget) >= 0
    case 'in':
      return contains(b, a, budget)
    case 'not in':
      return !contains(b, a, budget)
  }
}
