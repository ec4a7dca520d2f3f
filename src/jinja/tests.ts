/** What may stand behind `is`. */
import { bind, intArgument } from './arguments.ts'
import { contains, isEqual, order } from './compare.ts'
import { TemplateError } from './errors.ts'
import type { Interpreter } from './interpreter.ts'
import { operate } from './operators.ts'
import { show } from './show.ts'
import { isLower, isUpper } from './text.ts'
import {
  type Arguments,
  Dict,
  Float,
  Iteration,
  isIterable,
  Markup,
  numberOf,
  Thing,
  Undefined,
  type Value,
} from './values.ts'

type Test = (value: Value, args: Arguments, interpreter: Interpreter) => boolean

function plain(holds: (value: Value, interpreter: Interpreter) => boolean): Test {
  return (value, args, interpreter) => {
    bind('a test', [], args)
    return holds(value, interpreter)
  }
}

function compared(holds: (a: Value, b: Value, interpreter: Interpreter) => boolean): Test {
  return (value, args, interpreter) => {
    const [other] = bind('a test', ['other'], args)
    return holds(value, other as Value, interpreter)
  }
}

function rest(value: Value, by: Value, { run }: Interpreter): Value {
  return operate('%', value, by, run)
}

const equal = compared((a, b, { run }) => isEqual(a, b, run.budget))
const unequal = compared((a, b, { run }) => !isEqual(a, b, run.budget))
const below = compared((a, b, { run }) => order(a, b, run.budget) < 0)
const atMost = compared((a, b, { run }) => order(a, b, run.budget) <= 0)
const above = compared((a, b, { run }) => order(a, b, run.budget) > 0)
const atLeast = compared((a, b, { run }) => order(a, b, run.budget) >= 0)

export const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['defined', plain((value) => !(value instanceof Undefined))],
  ['undefined', plain((value) => value instanceof Undefined)],
  ['none', plain((value) => value === null)],
  ['boolean', plain((value) => typeof value === 'boolean')],
  ['true', plain((value) => value === true)],
  ['false', plain((value) => value === false)],
  ['integer', plain((value) => typeof value === 'number')],
  ['float', plain((value) => value instanceof Float)],
  ['number', plain((value) => numberOf(value) !== undefined)],
  ['string', plain((value) => typeof value === 'string' || value instanceof Markup)],
  ['mapping', plain((value) => value instanceof Dict)],
  ['iterable', plain((value) => isIterable(value))],
  ['sequence', plain((value) => isIterable(value) && !(value instanceof Iteration))],
  [
    'callable',
    plain((value) => value instanceof Undefined || (value instanceof Thing && value.isCallable)),
  ],
  ['escaped', plain((value) => value instanceof Markup)],
  ['lower', plain((value, { run }) => isLower(show(value, run)))],
  ['upper', plain((value, { run }) => isUpper(show(value, run)))],
  [
    'odd',
    plain((value, interpreter) => isEqual(rest(value, 2, interpreter), 1, interpreter.run.budget)),
  ],
  [
    'even',
    plain((value, interpreter) => isEqual(rest(value, 2, interpreter), 0, interpreter.run.budget)),
  ],
  [
    'divisibleby',
    compared((a, b, interpreter) => isEqual(rest(a, b, interpreter), 0, interpreter.run.budget)),
  ],
  ['eq', equal],
  ['==', equal],
  ['equalto', equal],
  ['ne', unequal],
  ['!=', unequal],
  ['lt', below],
  ['<', below],
  ['lessthan', below],
  ['le', atMost],
  ['<=', atMost],
  ['gt', above],
  ['>', above],
  ['greaterthan', above],
  ['ge', atLeast],
  ['>=', atLeast],
  ['in', compared((a, b, { run }) => contains(b, a, run.budget))],
  ['sameas', compared(isSame)],
])

/** Python's `is`: small numbers, True, None and lists are themselves; of texts nobody can say. */
function isSame(a: Value, b: Value): boolean {
  const isPlain = (value: Value) =>
    value === null || typeof value === 'boolean' || typeof value === 'object'
  if (isPlain(a) || isPlain(b)) return a === b
  if (typeof a === 'number' && typeof b === 'number') return intArgument('sameas', a) === b
  throw new TemplateError('it asks whether two texts are the same object')
}
