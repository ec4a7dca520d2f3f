/**
 * Regular languages by derivatives (Brzozowski 1964): what may still follow after a character is an expression
 * again. So intersection and complement are as simple as choice, and states are made only as they are met.
 * Expressions are over code points.
 */
import { ANY, has, normalized, type Ranges } from './char-ranges.ts'
import { tooComplex } from './grammar-error.ts'

interface Parts {
  /** Nothing; the empty text; one character; one after the other; choice; intersection; complement; repetition. */
  readonly kind: 'none' | 'empty' | 'set' | 'chain' | 'or' | 'and' | 'not' | 'repeat'
  readonly of: readonly Expression[]
  readonly ranges?: Ranges
  readonly min?: number
  readonly max?: number
}

export interface Expression extends Parts {
  readonly id: number
  /** Whether the empty text is one of its texts. */
  readonly isNullable: boolean
  /** Without intersection and complement, so that every state has a way to its end. */
  readonly isSimple: boolean
  /** By the number of a class of characters. */
  readonly next: Map<number, Expression>
  /** The cheapest way to an end, once it is known. */
  least: number | undefined
}

/** Expressions that there may be, and derivatives that may be taken, before a grammar counts as too complex. */
const MOST_EXPRESSIONS = 30_000
const MOST_DERIVATIVES = 400_000
/** States that are looked at to find an end. */
const MOST_VISITED = 3000
const MOST_REPEATS = Number.POSITIVE_INFINITY

export class Expressions {
  readonly none: Expression
  readonly empty: Expression
  /** Any one character. */
  readonly any: Expression
  /** Any text. */
  readonly all: Expression
  readonly #byKey = new Map<string, Expression>()
  readonly #costOf: (codePoint: number) => number
  /** Where classes begin: all code points from one to the next are alike to every expression. */
  #bounds: number[] | undefined
  #classCosts: number[] = []
  #derivatives = 0

  /** @param costOf tokens that write a character */
  constructor(costOf: (codePoint: number) => number) {
    this.#costOf = costOf
    this.none = this.#make({ kind: 'none', of: [] })
    this.empty = this.#make({ kind: 'empty', of: [] })
    this.any = this.#make({ kind: 'set', of: [], ranges: ANY })
    this.all = this.repeat(this.any, 0, MOST_REPEATS)
  }

  set(ranges: Ranges): Expression {
    const own = normalized(ranges)
    return own.length === 0 ? this.none : this.#make({ kind: 'set', of: [], ranges: own })
  }

  text(text: string): Expression {
    return Array.from(text.toWellFormed()).reduceRight((rest, character) => {
      const code = character.codePointAt(0) ?? 0
      return this.chain(this.set([[code, code]]), rest)
    }, this.empty)
  }

  chain(first: Expression, second: Expression): Expression {
    if (first === this.none || second === this.none) return this.none
    if (first === this.empty) return second
    if (second === this.empty) return first
    if (first.kind === 'chain') return this.chain(first.of[0], this.chain(first.of[1], second))
    return this.#make({ kind: 'chain', of: [first, second] })
  }

  or(options: readonly Expression[]): Expression {
    const flat = unique(options.flatMap((one) => (one.kind === 'or' ? one.of : [one])))
    if (flat.includes(this.all)) return this.all
    const sets = flat.filter(({ kind }) => kind === 'set')
    const others = flat.filter((one) => one.kind !== 'set' && one !== this.none)
    const joined =
      sets.length < 2 ? sets : [this.set(sets.flatMap(({ ranges = [] }) => [...ranges]))]
    const of = unique([...others, ...joined])
    if (of.length < 2) return of[0] ?? this.none
    return this.#make({ kind: 'or', of })
  }

  and(options: readonly Expression[]): Expression {
    const flat = unique(options.flatMap((one) => (one.kind === 'and' ? one.of : [one])))
    const of = flat.filter((one) => one !== this.all)
    if (of.includes(this.none)) return this.none
    if (of.includes(this.empty)) {
      return of.every(({ isNullable }) => isNullable) ? this.empty : this.none
    }
    if (of.length < 2) return of[0] ?? this.all
    return this.#make({ kind: 'and', of })
  }

  not(one: Expression): Expression {
    if (one === this.none) return this.all
    if (one === this.all) return this.none
    return one.kind === 'not' ? one.of[0] : this.#make({ kind: 'not', of: [one] })
  }

  repeat(one: Expression, min: number, max: number): Expression {
    if (max === 0 || one === this.empty) return this.empty
    if (one === this.none) return min === 0 ? this.empty : this.none
    if (min === 1 && max === 1) return one
    return this.#make({ kind: 'repeat', of: [one], min: one.isNullable ? 0 : min, max })
  }

  /** What may follow a character. */
  derive(state: Expression, codePoint: number): Expression {
    const number = this.#classOf(codePoint)
    const known = state.next.get(number)
    if (known !== undefined) return known
    if (++this.#derivatives > MOST_DERIVATIVES) throw tooComplex()
    const derived = this.#derive(state, codePoint)
    state.next.set(number, derived)
    return derived
  }

  #derive({ kind, of, ranges = ANY, min = 0, max = 0 }: Expression, code: number): Expression {
    switch (kind) {
      case 'none':
      case 'empty':
        return this.none
      case 'set':
        return has(ranges, code) ? this.empty : this.none
      case 'chain': {
        const [first, second] = of
        const behind = this.chain(this.derive(first, code), second)
        return first.isNullable ? this.or([behind, this.derive(second, code)]) : behind
      }
      case 'or':
        return this.or(of.map((one) => this.derive(one, code)))
      case 'and':
        return this.and(of.map((one) => this.derive(one, code)))
      case 'not':
        return this.not(this.derive(of[0], code))
      case 'repeat':
        return this.chain(
          this.derive(of[0], code),
          this.repeat(of[0], Math.max(0, min - 1), max - 1),
        )
    }
  }

  /** How few tokens lead to an end of the text; infinite if nothing does. */
  least(state: Expression): number {
    state.least ??= state.isSimple ? this.#leastOfParts(state) : this.#leastByWalking(state)
    return state.least
  }

  /** The least over all states that a character of a range leads to. */
  leastBehind(state: Expression, first: number, last: number): number {
    let least = Number.POSITIVE_INFINITY
    const bounds = this.#classes
    for (let at = this.#classOf(first); at < bounds.length && bounds[at] <= last; at++) {
      least = Math.min(least, this.least(this.derive(state, Math.max(first, bounds[at]))))
    }
    return least
  }

  #leastOfParts({ kind, of, ranges = ANY, min = 0 }: Expression): number {
    if (kind === 'none') return Number.POSITIVE_INFINITY
    if (kind === 'set') return this.#costOfRanges(ranges)
    const parts = of.map((one) => this.least(one))
    if (kind === 'chain') return parts[0] + parts[1]
    if (kind === 'or') return Math.min(...parts)
    return kind === 'repeat' && min > 0 ? parts[0] * min : 0
  }

  /** Dijkstra's way through states that are made on the way. */
  #leastByWalking(start: Expression): number {
    const costs = new Map([[start, 0]])
    const open = new Map([[0, [start]]])
    const done = new Set<Expression>()
    for (let cost = 0; open.size > 0; cost++) {
      const states = open.get(cost) ?? []
      open.delete(cost)
      for (const state of states) {
        if (state.isNullable) return cost
        if (done.has(state)) continue
        done.add(state)
        if (done.size > MOST_VISITED) throw tooComplex()
        for (const [number, bound] of this.#classes.entries()) {
          const target = this.derive(state, bound)
          const reached = cost + this.#classCosts[number]
          if (target === this.none || reached >= (costs.get(target) ?? Number.POSITIVE_INFINITY))
            continue
          costs.set(target, reached)
          open.set(reached, [...(open.get(reached) ?? []), target])
        }
      }
    }
    return Number.POSITIVE_INFINITY
  }

  /** The first code point of each class. The first question about characters settles them. */
  get #classes(): readonly number[] {
    if (this.#bounds !== undefined) return this.#bounds
    const bounds = new Set([0])
    for (const { ranges = [] } of this.#byKey.values()) {
      for (const [first, last] of ranges) bounds.add(first).add(last + 1)
    }
    this.#bounds = [...bounds].filter((bound) => bound <= 0x10ffff).sort((a, b) => a - b)
    this.#classCosts = this.#bounds.map((first, i) => {
      const last = (this.#bounds?.[i + 1] ?? 0x110000) - 1
      return this.#costOfRanges([[first, last]])
    })
    return this.#bounds
  }

  #classOf(codePoint: number): number {
    const bounds = this.#classes
    let low = 0
    let high = bounds.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (bounds[middle] <= codePoint) low = middle
      else high = middle
    }
    return low
  }

  /** Of some characters of the ranges, the usual ones among them: the least that one of them costs. */
  #costOfRanges(ranges: Ranges): number {
    const tried = [
      ...ranges.slice(0, 8).map(([first]) => first),
      ...USUAL.filter((c) => has(ranges, c)),
    ]
    return Math.min(...tried.map(this.#costOf))
  }

  #make(parts: Parts): Expression {
    const { kind, of, ranges = [], min = 0, max = 0 } = parts
    const key = `${kind} ${of.map(({ id }) => id)} ${ranges.join(';')} ${min} ${max}`
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    if (this.#byKey.size >= MOST_EXPRESSIONS) throw tooComplex()
    const made: Expression = {
      ...parts,
      id: this.#byKey.size,
      isNullable: isNullable(parts),
      isSimple: kind !== 'and' && kind !== 'not' && of.every(({ isSimple }) => isSimple),
      next: new Map(),
      least: undefined,
    }
    this.#byKey.set(key, made)
    return made
  }
}

const USUAL = ['a', '0', 'A', ' ', '-', '.', '_'].map((one) => one.charCodeAt(0))

function isNullable({ kind, of, min = 0 }: Parts): boolean {
  if (kind === 'empty') return true
  if (kind === 'chain' || kind === 'and') return of.every((one) => one.isNullable)
  if (kind === 'or') return of.some((one) => one.isNullable)
  if (kind === 'not') return !of[0].isNullable
  return kind === 'repeat' && min === 0
}

function unique(of: readonly Expression[]): Expression[] {
  return [...new Set(of)].sort((a, b) => a.id - b.id)
}
