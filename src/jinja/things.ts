/** What templates make or are given beside plain values: namespaces, loops, cyclers. */
import { bind } from './arguments.ts'
import type { Budget } from './budget.ts'
import { isEqual } from './compare.ts'
import { notSupported, TemplateError } from './errors.ts'
import { represent, type Surroundings } from './show.ts'
import {
  type Arguments,
  Callable,
  Dict,
  firstOf,
  Range,
  Thing,
  Tuple,
  Undefined,
  type Value,
} from './values.ts'

/** Items that range() may have, as in the sandbox of transformers. */
const MAX_RANGE = 100_000

/** namespace(): the one thing whose parts a template may set. */
export class Namespace extends Thing {
  readonly typeName = 'Namespace'
  readonly parts: Dict
  readonly #run: Surroundings

  constructor(parts: Dict, run: Surroundings) {
    super()
    this.parts = parts
    this.#run = run
  }
  override show(): string {
    return this.#run.budget.nested(() => `<Namespace ${represent(this.parts, this.#run)}>`)
  }
  override attribute(name: string): Value | undefined {
    return this.parts.get(name)
  }
}

/** `loop` inside of {% for %}. */
export class Loop extends Thing {
  readonly typeName = 'LoopContext'
  index0 = 0
  readonly #items: readonly Value[]
  readonly #depth0: number
  readonly #budget: Budget
  readonly #recurse: ((items: Value, depth0: number) => string) | undefined
  #lastChecked: readonly Value[] | undefined

  constructor(
    items: readonly Value[],
    depth0: number,
    budget: Budget,
    recurse: ((items: Value, depth0: number) => string) | undefined,
  ) {
    super()
    this.#items = items
    this.#depth0 = depth0
    this.#budget = budget
    this.#recurse = recurse
  }

  override show(): string {
    return `<LoopContext ${this.index0 + 1}/${this.#items.length}>`
  }

  override get isCallable(): boolean {
    return true
  }

  /** loop(items): the same loop on what is inside an item. */
  override call(args: Arguments): Value {
    const [items] = bind('loop', ['items'], args)
    if (this.#recurse === undefined)
      throw new TemplateError('it calls "loop" of a loop that is not recursive')
    return this.#recurse(items as Value, this.#depth0 + 1)
  }

  override attribute(name: string): Value | undefined {
    const { index0 } = this
    const { length } = this.#items
    const beside = (at: number) =>
      firstOf(this.#items[at], new Undefined(`there is no item at loop.${name}`))
    switch (name) {
      case 'index':
        return index0 + 1
      case 'index0':
        return index0
      case 'revindex':
        return length - index0
      case 'revindex0':
        return length - index0 - 1
      case 'first':
        return index0 === 0
      case 'last':
        return index0 === length - 1
      case 'length':
        return length
      case 'depth':
        return this.#depth0 + 1
      case 'depth0':
        return this.#depth0
      case 'previtem':
        return beside(index0 - 1)
      case 'nextitem':
        return beside(index0 + 1)
      case 'cycle':
        return new Callable(({ positional }) => {
          if (positional.length === 0) throw new TemplateError('loop.cycle() is given nothing')
          return positional[index0 % positional.length]
        })
      case 'changed':
        return new Callable(({ positional }) => {
          const before = this.#lastChecked
          const isSame =
            before !== undefined && isEqual(new Tuple(before), new Tuple(positional), this.#budget)
          this.#lastChecked = positional
          return !isSame
        })
      default:
        return undefined
    }
  }
}

/** cycler(): its items one after the other, from the front again at the end. */
class Cycler extends Thing {
  readonly typeName = 'Cycler'
  readonly #items: readonly Value[]
  #at = 0

  constructor(items: readonly Value[]) {
    super()
    if (items.length === 0) throw new TemplateError('cycler() is given nothing')
    this.#items = items
  }
  override attribute(name: string): Value | undefined {
    if (name === 'current') return this.#items[this.#at]
    if (name === 'items') return new Tuple(this.#items)
    if (name === 'next') {
      return new Callable(() => {
        const item = this.#items[this.#at]
        this.#at = (this.#at + 1) % this.#items.length
        return item
      })
    }
    if (name !== 'reset') return undefined
    return new Callable(() => {
      this.#at = 0
      return null
    })
  }
}

function joiner(args: Arguments): Value {
  const [separator = ', '] = bind('joiner', ['sep?'], args)
  let isUsed = false
  return new Callable(() => {
    if (isUsed) return separator
    isUsed = true
    return ''
  })
}

function range(args: Arguments): Value {
  const numbers = args.positional.map((value) => {
    if (typeof value === 'number' || typeof value === 'boolean') return Number(value)
    throw new TemplateError('range() is given something else than whole numbers')
  })
  if (args.named.size > 0 || numbers.length < 1 || numbers.length > 3) {
    throw new TemplateError('range() is given another number of arguments')
  }
  const [start, stop, step = 1] = numbers.length === 1 ? [0, numbers[0]] : numbers
  if (step === 0) throw new TemplateError('range() has steps of 0')
  const made = new Range(start, stop, step)
  if (made.length > MAX_RANGE) throw new TemplateError(`range() of more than ${MAX_RANGE} items`)
  return made
}

function dict({ positional, named }: Arguments, { budget }: Surroundings): Dict {
  const made = new Dict()
  for (const given of positional) {
    if (!(given instanceof Dict))
      throw notSupported('dict() of something else than a dict and names')
    budget.makeItems(given.size)
    for (const [key, value] of given.entries()) made.set(key, value)
  }
  for (const [name, value] of named) made.set(name, value)
  return made
}

function refused(what: string): Callable {
  return new Callable(() => {
    throw notSupported(what)
  })
}

/** What every template knows without being given it. */
export function globals(run: Surroundings): [string, Value][] {
  return [
    ['range', new Callable(range)],
    ['dict', new Callable((args) => dict(args, run))],
    ['namespace', new Callable((args) => new Namespace(dict(args, run), run))],
    ['cycler', new Callable(({ positional }) => new Cycler(positional))],
    ['joiner', new Callable(joiner)],
    ['lipsum', refused('random text')],
    // The blocks of a template, which has none.
    ['self', refused('self')],
  ]
}
