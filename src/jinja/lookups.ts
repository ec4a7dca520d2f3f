/** `value.name` and `value[key]`, by the rules of jinja2's sandbox. */

import { bind } from './arguments.ts'
import type { Lookups } from './brace-format.ts'
import { partOfGroup } from './collection-filters.ts'
import { isEqual } from './compare.ts'
import { notSupported, TemplateError } from './errors.ts'
import { textMethod } from './methods.ts'
import type { Surroundings } from './show.ts'
import { charactersOf } from './text.ts'
import {
  type Arguments,
  Callable,
  Dict,
  Float,
  firstOf,
  itemsOf,
  Markup,
  numberOf,
  Range,
  readKey,
  sequenceOf,
  Thing,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from './values.ts'

/** Methods that change what they belong to: the sandbox of transformers forbids them. */
const CHANGING: ReadonlySet<string> = new Set(
  'append clear extend insert pop popitem remove reverse setdefault sort update'.split(' '),
)
/** What numbers have and texts of templates hardly ever ask for. */
const OF_NUMBERS: ReadonlySet<string> = new Set(
  'real imag numerator denominator conjugate bit_length bit_count to_bytes from_bytes as_integer_ratio is_integer hex fromhex'.split(
    ' ',
  ),
)

export function lookupsIn(run: Surroundings): Lookups {
  const lookups: Lookups = {
    attribute(value, name) {
      if (value instanceof Undefined) return value.fail()
      if (value instanceof Dict) readKey(name, run.budget)
      const key = value instanceof Dict ? value.get(name) : undefined
      return firstOf(attributeOf(value, name), key, missing(value, name))
    },
    item(value, key) {
      if (value instanceof Undefined) return value.fail()
      const found = itemOf(value, key)
      if (found !== undefined) return found
      const attribute = typeof key === 'string' ? attributeOf(value, key) : undefined
      return firstOf(attribute, missing(value, key))
    },
  }

  const attributeOf = (value: Value, name: string): Value | undefined => {
    if (name.startsWith('__')) throw notSupported(`the attribute "${name}"`)
    if (value instanceof Markup) throw notSupported(`"${name}" of escaped text`)
    if (typeof value === 'string') {
      const method = textMethod(value, name, run, lookups)
      return method === undefined ? undefined : new Callable(method)
    }
    if (value instanceof Thing) return value.attribute(name)
    const isCollection = Array.isArray(value) || value instanceof Dict
    if (
      isCollection &&
      CHANGING.has(name) &&
      (Array.isArray(value) ? isOfList(name) : isOfDict(name))
    ) {
      return new Forbidden(`${typeName(value)}.${name}`)
    }
    if (value instanceof Dict) return dictMethod(value, name)
    if (value instanceof Range && (name === 'index' || name === 'count')) {
      return listMethod(new Tuple(itemsOf(value, run.budget)), name)
    }
    if (value instanceof Range && ['start', 'stop', 'step'].includes(name)) {
      return value[name as 'start' | 'stop' | 'step']
    }
    if (Array.isArray(value) || value instanceof Tuple) return listMethod(value, name)
    if (numberOf(value) !== undefined && OF_NUMBERS.has(name)) {
      const isThere = value instanceof Float || !['is_integer', 'hex', 'fromhex'].includes(name)
      if (isThere) throw notSupported(`the attribute "${name}" of numbers`)
    }
    return undefined
  }

  const dictMethod = (dict: Dict, name: string): Value | undefined => {
    const view = (kind: View['kind'], items: () => readonly Value[]) =>
      new Callable((args) => {
        bind(`${name}()`, [], args)
        run.budget.makeItems(dict.size)
        return new View(kind, items())
      })
    switch (name) {
      case 'items':
        return view('dict_items', () => dict.entries().map((pair) => new Tuple(pair)))
      case 'keys':
        return view('dict_keys', () => dict.keys())
      case 'values':
        return view('dict_values', () => dict.entries().map(([, value]) => value))
      case 'get':
        return new Callable((args) => {
          const [key, otherwise = null] = bind('get()', ['key', 'default?'], args)
          readKey(key as Value, run.budget)
          return firstOf(dict.get(key as Value), otherwise)
        })
      case 'copy':
        return new Callable(() => {
          run.budget.makeItems(dict.size)
          return Dict.of(dict.entries())
        })
      case 'fromkeys':
        throw notSupported('dict.fromkeys()')
      default:
        return undefined
    }
  }

  const listMethod = (list: Value[] | Tuple, name: string): Value | undefined => {
    const items = Array.isArray(list) ? list : list.items
    const group = partOfGroup(list, name)
    if (group !== undefined) return group
    const isSame = (args: Arguments) => {
      const [wanted] = bind(`${name}()`, ['value'], args)
      return (item: Value) => isEqual(item, wanted as Value, run.budget)
    }
    switch (name) {
      case 'index':
        return new Callable((args) => {
          const at = items.findIndex(isSame(args))
          if (at < 0)
            throw new TemplateError('a list is asked for the place of what it does not have')
          return at
        })
      case 'count':
        return new Callable((args) => items.filter(isSame(args)).length)
      case 'copy':
        if (!Array.isArray(list)) return undefined
        return new Callable(() => {
          run.budget.makeItems(items.length)
          return [...items]
        })
      default:
        return undefined
    }
  }

  const itemOf = (value: Value, key: Value): Value | undefined => {
    if (value instanceof Dict) {
      readKey(key, run.budget)
      return Array.isArray(key) || key instanceof Dict ? undefined : value.get(key)
    }
    const place = typeof key === 'number' || typeof key === 'boolean' ? Number(key) : undefined
    if (place === undefined) return undefined
    if (value instanceof Markup) throw notSupported('a part of escaped text')
    if (typeof value === 'string') {
      run.budget.read(value.length)
      const characters = charactersOf(value)
      return characters[place < 0 ? place + characters.length : place]
    }
    // A view has items, but none that could be picked.
    const items = value instanceof View ? undefined : sequenceOf(value)
    if (items === undefined) return undefined
    const at = place < 0 ? place + items.length : place
    if (Array.isArray(items)) return items[at]
    if (at < 0 || at >= items.length) return undefined
    return 'step' in items ? items.at(at) : items[at]
  }
  return lookups
}

function isOfList(name: string): boolean {
  return !['popitem', 'setdefault', 'update'].includes(name)
}

function isOfDict(name: string): boolean {
  return ['clear', 'pop', 'popitem', 'setdefault', 'update'].includes(name)
}

/** A method that the sandbox hides: an error wherever more is done with it than looking whether it is there. */
class Forbidden extends Undefined {
  constructor(name: string) {
    super(`it uses ${name}, which changes a value: templates may not`)
  }
}

function missing(value: Value, key: Value): Undefined {
  const name =
    typeof key === 'string' || typeof key === 'number' ? `"${key}"` : `a ${typeName(key)}`
  return new Undefined(`a ${typeName(value)} has no ${name}, but it is used`)
}
