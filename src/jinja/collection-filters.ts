/** Filters on lists and dicts. */
import { bind, intArgument } from './arguments.ts'
import { isEqual, order } from './compare.ts'
import { TemplateError } from './errors.ts'
import type { Filter, Interpreter } from './interpreter.ts'
import { operate } from './operators.ts'
import { show } from './show.ts'
import { charactersOf, lengthOf } from './text.ts'
import {
  type Arguments,
  Dict,
  firstOf,
  Iteration,
  isTrue,
  itemsOf,
  Markup,
  readKey,
  sequenceOf,
  Thing,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.ts'

/** len(). @throws TemplateError for what has none */
export function lengthOfValue(value: Value, { run }: Interpreter): number {
  if (typeof value === 'string' || value instanceof Markup) {
    const text = value instanceof Markup ? value.text : value
    run.budget.read(text.length)
    return lengthOf(text)
  }
  if (value instanceof Dict) return value.size
  if (value instanceof Undefined) return 0
  const items = sequenceOf(value)
  if (items === undefined) throw new TemplateError(`a ${typeName(value)} has no length`)
  return items.length
}

/** A part of an item by a path such as "function.name" or 0. */
function part(item: Value, path: Value, interpreter: Interpreter, otherwise?: Value): Value {
  const steps = typeof path === 'string' ? path.split('.') : path === null ? [] : [path]
  let found = item
  for (const step of steps) {
    found = interpreter.item(
      found,
      typeof step === 'string' && /^\d+$/.test(step) ? Number(step) : step,
    )
    if (found instanceof Undefined && otherwise !== undefined && otherwise !== null)
      found = otherwise
  }
  return found
}

function withoutCase(value: Value, { run }: Interpreter): Value {
  if (typeof value !== 'string') return value
  run.budget.make(value.length)
  return value.toLowerCase()
}

/** What items are compared by. */
function keyOf(path: Value, caseSensitive: Value, interpreter: Interpreter) {
  return (item: Value): Value => {
    const found = part(item, path, interpreter)
    return isTrue(caseSensitive) ? found : withoutCase(found, interpreter)
  }
}

function sortedBy(
  items: readonly Value[],
  key: (item: Value) => Value,
  reverse: Value,
  { run }: Interpreter,
): Value[] {
  const sign = isTrue(reverse) ? -1 : 1
  const keyed = items.map((item) => ({ item, key: key(item) }))
  return keyed.sort((a, b) => sign * order(a.key, b.key, run.budget)).map(({ item }) => item)
}

const sort: Filter = (value, args, interpreter) => {
  const names = ['reverse?', 'case_sensitive?', 'attribute?']
  const [reverse = false, caseSensitive = false, attribute = null] = bind('sort', names, args)
  const items = itemsOf(value, interpreter.run.budget)
  const paths = typeof attribute === 'string' ? attribute.split(',') : [attribute]
  const keys = paths.map((path) => keyOf(path, caseSensitive, interpreter))
  return sortedBy(items, (item) => keys.map((key) => key(item)), reverse, interpreter)
}

const dictsort: Filter = (value, args, interpreter) => {
  const names = ['case_sensitive?', 'by?', 'reverse?']
  const [caseSensitive = false, by = 'key', reverse = false] = bind('dictsort', names, args)
  if (!(value instanceof Dict))
    throw new TemplateError(`dictsort needs a dict, not a ${typeName(value)}`)
  if (by !== 'key' && by !== 'value') throw new TemplateError('dictsort sorts by "key" or "value"')
  const pairs = value.entries().map((pair) => new Tuple(pair))
  return sortedBy(
    pairs,
    keyOf(by === 'key' ? 0 : 1, caseSensitive, interpreter),
    reverse,
    interpreter,
  )
}

const items: Filter = (value, args, { run }) => {
  bind('items', [], args)
  return new Iteration('generator', () => {
    if (value instanceof Undefined) return []
    if (value instanceof Dict) {
      run.budget.makeItems(value.size)
      return value.entries().map((pair) => new Tuple(pair))
    }
    throw new TemplateError(`items needs a dict, not a ${typeName(value)}`)
  })
}

const length: Filter = (value, args, interpreter) => {
  bind('length', [], args)
  return lengthOfValue(value, interpreter)
}

const first: Filter = (value, args, { run }) => {
  bind('first', [], args)
  const found = value instanceof Iteration ? value.next() : itemsOf(value, run.budget)[0]
  return firstOf(found, new Undefined('a list without items has no first one'))
}

const last: Filter = (value, args, interpreter) => {
  bind('last', [], args)
  return firstOf(
    reversedItems(value, interpreter)[0],
    new Undefined('a list without items has no last one'),
  )
}

/** @throws TemplateError for what Python cannot go through from its end */
function reversedItems(value: Value, { run }: Interpreter): readonly Value[] {
  if (value instanceof Iteration) throw new TemplateError(`a ${value.kind} cannot be reversed`)
  const items = [...itemsOf(value, run.budget)].reverse()
  // Python takes it apart by its places, which stay escaped.
  return value instanceof Markup ? items.map((one) => new Markup(String(one))) : items
}

const reverse: Filter = (value, args, interpreter) => {
  bind('reverse', [], args)
  if (typeof value === 'string' || value instanceof Markup) {
    const text = typeof value === 'string' ? value : value.text
    interpreter.run.budget.make(text.length)
    const reversed = [...charactersOf(text)].reverse().join('')
    return typeof value === 'string' ? reversed : new Markup(reversed)
  }
  if (value instanceof Iteration) return [...value.take()].reverse()
  const items = reversedItems(value, interpreter)
  return new Iteration('reversed list', () => items)
}

const list: Filter = (value, args, { run }) => {
  bind('list', [], args)
  const all = itemsOf(value, run.budget)
  run.budget.makeItems(all.length)
  return [...all]
}

const join: Filter = (value, args, interpreter) => {
  const [between = '', attribute = null] = bind('join', ['d?', 'attribute?'], args)
  const { run } = interpreter
  const parts = itemsOf(value, run.budget).map((item) =>
    show(part(item, attribute, interpreter), run),
  )
  const separator = show(between, run)
  run.budget.make(parts.reduce((sum, text) => sum + text.length + separator.length, 0))
  return parts.join(separator)
}

/** A filter that does nothing before its items are wanted, and nothing at all with what is false. */
function lazy(
  make: (items: readonly Value[], args: Arguments, interpreter: Interpreter) => readonly Value[],
): Filter {
  return (value, args, interpreter) => {
    return new Iteration('generator', () => {
      if (!isTrue(value)) return []
      const all = itemsOf(value, interpreter.run.budget)
      interpreter.run.budget.makeItems(all.length)
      return make(all, args, interpreter)
    })
  }
}

const map = lazy((all, args, interpreter) => {
  const [name, ...rest] = args.positional
  if (name === undefined) {
    const [attribute, otherwise] = bind('map', ['attribute', 'default?'], args)
    return all.map((item) => part(item, attribute as Value, interpreter, otherwise))
  }
  const filter = show(name, interpreter.run)
  return all.map((item) =>
    interpreter.filter(filter, item, { positional: rest, named: args.named }),
  )
})

/** select, reject and both by a part of each item. */
function selection(wanted: boolean, byAttribute: boolean): Filter {
  return lazy((all, args, interpreter) => {
    const [attribute = null, ...behind] = byAttribute ? args.positional : [null, ...args.positional]
    if (byAttribute && args.positional.length === 0) {
      throw new TemplateError('selectattr needs a part to look at')
    }
    const [test, ...rest] = behind
    return all.filter((item) => {
      const found = part(item, attribute, interpreter)
      const holds =
        test === undefined
          ? isTrue(found)
          : interpreter.test(show(test, interpreter.run), found, {
              positional: rest,
              named: args.named,
            })
      return holds === wanted
    })
  })
}

const unique: Filter = (value, args, interpreter) => {
  const names = ['case_sensitive?', 'attribute?']
  const [caseSensitive = false, attribute = null] = bind('unique', names, args)
  const key = keyOf(attribute, caseSensitive, interpreter)
  return new Iteration('generator', () => {
    const seen = new Dict()
    return itemsOf(value, interpreter.run.budget).filter((item) => {
      const found = key(item)
      readKey(found, interpreter.run.budget)
      if (seen.has(found)) return false
      seen.set(found, true)
      return true
    })
  })
}

function extreme(sign: number): Filter {
  return (value, args, interpreter) => {
    const [caseSensitive = false, attribute = null] = bind(
      'min',
      ['case_sensitive?', 'attribute?'],
      args,
    )
    const key = keyOf(attribute, caseSensitive, interpreter)
    const { budget } = interpreter.run
    let best: Value | undefined
    for (const item of itemsOf(value, budget)) {
      if (best === undefined || sign * order(key(item), key(best), budget) < 0) best = item
    }
    return firstOf(best, new Undefined('a list without items has no least and no greatest one'))
  }
}

const sum: Filter = (value, args, interpreter) => {
  const [attribute = null, start = 0] = bind('sum', ['attribute?', 'start?'], args)
  const { run } = interpreter
  if (typeof start === 'string') throw new TemplateError('sum cannot add texts')
  return itemsOf(value, run.budget).reduce(
    (total, item) => operate('+', total, part(item, attribute, interpreter), run),
    start,
  )
}

const batch: Filter = (value, args, { run }) => {
  const [size, fill = null] = bind('batch', ['linecount', 'fill_with?'], args)
  return new Iteration('generator', () => {
    const count = intArgument('batch', size as Value)
    const all = itemsOf(value, run.budget)
    if (count < 1) throw new TemplateError('batch needs at least one item a line')
    run.budget.makeItems(all.length)
    const rows: Value[][] = []
    for (let at = 0; at < all.length; at += count) rows.push(all.slice(at, at + count))
    const lastRow = rows.at(-1)
    if (fill !== null && lastRow !== undefined && lastRow.length < count) {
      run.budget.makeItems(count)
      while (lastRow.length < count) lastRow.push(fill)
    }
    return rows
  })
}

const slice: Filter = (value, args, { run }) => {
  const [given, fill = null] = bind('slice', ['slices', 'fill_with?'], args)
  return new Iteration('generator', () => {
    const count = intArgument('slice', given as Value)
    const all = itemsOf(value, run.budget)
    if (count < 1) throw new TemplateError('slice needs at least one part')
    run.budget.makeItems(all.length + count)
    const each = Math.floor(all.length / count)
    const more = all.length % count
    let from = 0
    return Array.from({ length: count }, (_, i): Value => {
      const size = each + (i < more ? 1 : 0)
      const items: Value[] = all.slice(from, from + size)
      from += size
      if (fill !== null && i >= more) items.push(fill)
      return items
    })
  })
}

/** A group: a pair whose two parts have names. */
class Group extends Tuple {
  named(name: string): Value | undefined {
    const place = ['grouper', 'list'].indexOf(name)
    return place < 0 ? undefined : this.items[place]
  }
}

export function partOfGroup(value: Value, name: string): Value | undefined {
  return value instanceof Group ? value.named(name) : undefined
}

const groupby: Filter = (value, args, interpreter) => {
  const names = ['attribute', 'default?', 'case_sensitive?']
  const [attribute, otherwise, caseSensitive = false] = bind('groupby', names, args)
  const { budget } = interpreter.run
  const exact = (item: Value) => part(item, attribute as Value, interpreter, otherwise)
  const key = (item: Value) =>
    isTrue(caseSensitive) ? exact(item) : withoutCase(exact(item), interpreter)
  const groups: { key: Value; items: Value[] }[] = []
  for (const item of sortedBy(itemsOf(value, budget), key, false, interpreter)) {
    const group = groups.at(-1)
    if (group !== undefined && isEqual(group.key, key(item), budget)) group.items.push(item)
    else groups.push({ key: key(item), items: [item] })
  }
  return groups.map((group) => new Group([exact(group.items[0]), group.items]))
}

const attr: Filter = (value, args, interpreter) => {
  const [name] = bind('attr', ['name'], args)
  // Attributes only: a key of a dict is none.
  const found = interpreter.attribute(
    value instanceof Dict ? new Dict() : value,
    show(name as Value, interpreter.run),
  )
  return value instanceof Dict && found instanceof Thing
    ? interpreter.attribute(value, show(name as Value, interpreter.run))
    : found
}

export const COLLECTION_FILTERS: readonly (readonly [string, Filter])[] = [
  ['length', length],
  ['count', length],
  ['first', first],
  ['last', last],
  ['reverse', reverse],
  ['list', list],
  ['join', join],
  ['sort', sort],
  ['dictsort', dictsort],
  ['items', items],
  ['map', map],
  ['select', selection(true, false)],
  ['reject', selection(false, false)],
  ['selectattr', selection(true, true)],
  ['rejectattr', selection(false, true)],
  ['unique', unique],
  ['min', extreme(1)],
  ['max', extreme(-1)],
  ['sum', sum],
  ['batch', batch],
  ['slice', slice],
  ['groupby', groupby],
  ['attr', attr],
]
