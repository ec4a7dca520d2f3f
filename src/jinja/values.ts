/**
 * Python's values, as far as templates meet them. A text is a string, None is null, a list an array, and
 * an int a number; what JavaScript does not tell apart, or has not, is a class here.
 */
import type { Budget } from './budget.ts'
import { notSupported, TemplateError } from './errors.ts'

export type Value =
  | null
  | boolean
  | number
  | string
  | Float
  | Value[]
  | Tuple
  | Dict
  | Range
  | View
  | Iteration
  | Markup
  | Undefined
  | Thing

/** A float, which prints and divides otherwise than an int. */
export class Float {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

export class Tuple {
  readonly items: readonly Value[]
  constructor(items: readonly Value[]) {
    this.items = items
  }
}

/** A range of numbers, which takes no memory. */
export class Range {
  readonly start: number
  readonly step: number
  readonly length: number
  readonly stop: number
  constructor(start: number, stop: number, step: number) {
    this.start = start
    this.stop = stop
    this.step = step
    this.length = Math.max(0, Math.ceil((stop - start) / step))
  }
  at(index: number): number {
    return this.start + index * this.step
  }
}

/** Keys, values or items of a dict: shown with their kind, and counted. */
export class View {
  readonly kind: 'dict_keys' | 'dict_values' | 'dict_items'
  readonly items: readonly Value[]
  constructor(kind: View['kind'], items: readonly Value[]) {
    this.kind = kind
    this.items = items
  }
}

/** What a filter hands out once, such as map() and select(): without a length, and empty the second time. */
export class Iteration {
  #make: () => readonly Value[]
  readonly kind: string
  /** @param make called when the items are wanted, if they ever are */
  constructor(kind: string, make: () => readonly Value[]) {
    this.kind = kind
    this.#make = make
  }
  take(): readonly Value[] {
    const items = this.#make()
    this.#make = () => []
    return items
  }
  /** The first item, which is gone then. */
  next(): Value | undefined {
    const [first, ...rest] = this.take()
    this.#make = () => rest
    return first
  }
}

/** Text that was escaped or is called safe. What is added to it is escaped; of its methods none is known here. */
export class Markup {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** A name or a part that is not there: empty where it is shown, an error where more is done with it. */
export class Undefined {
  readonly why: string
  constructor(why: string) {
    this.why = why
  }
  fail(): never {
    throw new TemplateError(this.why)
  }
}

export interface Arguments {
  readonly positional: readonly Value[]
  readonly named: ReadonlyMap<string, Value>
}

/** Functions, macros, namespaces, loops: what only the interpreter makes. */
export abstract class Thing {
  abstract readonly typeName: string
  /** How it is shown; what would show an address is refused. */
  show(): string {
    throw notSupported(`the text of a ${this.typeName}`)
  }
  attribute(_name: string): Value | undefined {
    return undefined
  }
  call(_args: Arguments): Value {
    throw new TemplateError(`a ${this.typeName} cannot be called`)
  }
  get isCallable(): boolean {
    return false
  }
}

export class Callable extends Thing {
  readonly typeName = 'function'
  readonly #run: (args: Arguments) => Value
  constructor(run: (args: Arguments) => Value) {
    super()
    this.#run = run
  }
  override call(args: Arguments): Value {
    return this.#run(args)
  }
  override get isCallable(): boolean {
    return true
  }
}

/** A dict: in the order of entry, by keys that are equal if Python says so. */
export class Dict {
  readonly #entries = new Map<unknown, [key: Value, value: Value]>()

  static of(pairs: Iterable<readonly [Value, Value]>): Dict {
    const dict = new Dict()
    for (const [key, value] of pairs) dict.set(key, value)
    return dict
  }
  get size(): number {
    return this.#entries.size
  }
  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.[1]
  }
  has(key: Value): boolean {
    return this.#entries.has(hashOf(key))
  }
  set(key: Value, value: Value): void {
    const hash = hashOf(key)
    const entry = this.#entries.get(hash)
    if (entry === undefined) this.#entries.set(hash, [key, value])
    else entry[1] = value
  }
  entries(): readonly (readonly [Value, Value])[] {
    return [...this.#entries.values()]
  }
  keys(): Value[] {
    return this.entries().map(([key]) => key)
  }
}

/** What looking for a key costs: one that is there is compared to its end. */
export function readKey(key: Value, budget: Budget): void {
  const text = key instanceof Markup ? key.text : key
  if (typeof text === 'string') budget.read(text.length)
}

/** Equal for equal keys: texts as they are, numbers as numbers, tuples as a text that no key is likely to be. */
function hashOf(key: Value): unknown {
  if (typeof key === 'string' || key === null) return key
  const number = numberOf(key)
  if (number !== undefined) return number
  if (key instanceof Tuple) {
    return `\0tuple ${JSON.stringify(key.items.map((item) => [typeof hashOf(item), hashOf(item)]))}`
  }
  if (key instanceof Markup) return key.text
  if (key instanceof Undefined) return Undefined
  if (Array.isArray(key) || key instanceof Dict) {
    throw new TemplateError(`a ${typeName(key)} cannot be a key`)
  }
  return key
}

/** The number of an int, a float or a bool. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return value ? 1 : 0
  return value instanceof Float ? value.value : undefined
}

/** An int that both languages hold. @throws TemplateError beyond 2^53 */
export function int(value: number): number {
  if (Number.isSafeInteger(value)) return value + 0
  throw notSupported('a whole number beyond 2^53')
}

/** A value of JavaScript, as JSON has them, as one of Python. */
export function fromJavaScript(value: unknown): Value {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : new Float(value)
  if (Array.isArray(value)) return value.map(fromJavaScript)
  if (typeof value !== 'object')
    throw new TypeError(`A template cannot be given a ${typeof value}.`)
  const pairs = Object.entries(value).filter(([, item]) => item !== undefined)
  return Dict.of(pairs.map(([key, item]) => [key, fromJavaScript(item)]))
}

export function typeName(value: Value): string {
  if (value === null) return 'NoneType'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return 'int'
  if (typeof value === 'string') return 'str'
  if (Array.isArray(value)) return 'list'
  if (value instanceof Float) return 'float'
  if (value instanceof Tuple) return 'tuple'
  if (value instanceof Dict) return 'dict'
  if (value instanceof Range) return 'range'
  if (value instanceof View || value instanceof Iteration) return value.kind
  if (value instanceof Markup) return 'Markup'
  return value instanceof Undefined ? 'Undefined' : value.typeName
}

export function isTrue(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false
  const number = numberOf(value)
  if (number !== undefined) return number !== 0
  return lengthIfAny(value) !== 0
}

/** What len() counts in, without the characters of a text; undefined for what has no length. */
function lengthIfAny(value: Value): number | undefined {
  if (typeof value === 'string' || Array.isArray(value) || value instanceof Range)
    return value.length
  if (value instanceof Tuple || value instanceof View) return value.items.length
  if (value instanceof Dict) return value.size
  return value instanceof Markup ? value.text.length : undefined
}

/** Items of a list, a tuple, a range or a view, which may be picked by their place. */
export function sequenceOf(value: Value): readonly Value[] | Range | undefined {
  if (Array.isArray(value) || value instanceof Range) return value
  return value instanceof Tuple || value instanceof View ? value.items : undefined
}

/** All items of what can be gone through. @throws TemplateError for anything else */
export function itemsOf(value: Value, budget: Budget): readonly Value[] {
  const items = itemsIfAny(value, budget)
  if (items === undefined)
    throw new TemplateError(`a ${typeName(value)} has no items to go through`)
  budget.step(items.length)
  return items
}

function itemsIfAny(value: Value, budget: Budget): readonly Value[] | undefined {
  if (Array.isArray(value)) return value
  if (value instanceof Tuple || value instanceof View) return value.items
  if (typeof value === 'string' || value instanceof Markup) {
    const text = value instanceof Markup ? value.text : value
    budget.makeItems(text.length)
    return Array.from(text)
  }
  if (value instanceof Dict) return value.keys()
  if (value instanceof Iteration) return value.take()
  if (value instanceof Undefined) return []
  if (!(value instanceof Range)) return undefined
  budget.makeItems(value.length)
  return Array.from({ length: value.length }, (_, i) => value.at(i))
}

/** The first that is there: None is. */
export function firstOf(...values: readonly (Value | undefined)[]): Value {
  const found = values.find((value) => value !== undefined)
  if (found === undefined) throw new Error('None of these values is there.')
  return found
}

/** Whether {@link itemsOf} knows it; nothing is taken. */
export function isIterable(value: Value): boolean {
  return (
    value instanceof Iteration || value instanceof Undefined || lengthIfAny(value) !== undefined
  )
}
