/**
 * The values of a schema as a pushdown automaton over bytes, whose states are made as they are met: what an answer
 * may go on with, and how few tokens it needs to its end.
 *
 * JSON is written without spaces but for one behind a colon or a comma, which models like, so that nothing goes
 * on for ever.
 */
import type { Expressions } from './expression.ts'
import type { Item, ObjectPlace, Part } from './item.ts'
import type { Lexicon } from './lexicon.ts'
import { bytesText, candidates, mayClose, mayHaveOthers, Needs, nameText } from './needs.ts'
import { mayEnd, numberKey, numberNeed, numberStart, stepNumber } from './number-state.ts'
import type { ObjectShape, SchemaNode } from './schema-node.ts'
import { FAR, stepString, stringKey, stringNeed, stringStart } from './string-state.ts'
import { TrieNode } from './text-trie.ts'

/** Items that are known by their parts, before all are forgotten and made anew. */
const MOST_KNOWN = 12_500
const NONE: readonly Item[] = []
const [SPACE, COMMA, COLON] = [0x20, 0x2c, 0x3a]
const [OPEN_BRACE, CLOSE_BRACE, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5d]

export class Automaton {
  readonly make: Expressions
  readonly #lexicon: Lexicon
  readonly #needs: Needs
  readonly #known = new Map<string, Item>()
  readonly #numbers = new Map<object, number>()
  readonly #names = new Map<ObjectShape, TrieNode[]>()
  readonly #texts = new Map<SchemaNode, TrieNode>()
  #made = 0
  readonly end: Item

  constructor(root: SchemaNode, lexicon: Lexicon, make: Expressions) {
    this.make = make
    this.#lexicon = lexicon
    this.#needs = new Needs(root, lexicon, make)
    this.end = this.#item({ kind: 'end' }, undefined)
  }

  /** A whole value. */
  value(node: SchemaNode): Item {
    return this.#item({ kind: 'value', node, maySpace: false }, this.end)
  }

  /** Any text that begins with none of the bytes that an object or a space begins with. */
  freeText(): Item {
    return this.#item({ kind: 'free', isBegun: false }, this.end)
  }

  /** Whether nothing more has to come. */
  mayEnd(item: Item): boolean {
    if (item.kind === 'end') return true
    return item.rest !== undefined && this.#isDone(item) && this.mayEnd(item.rest)
  }

  #isDone(item: Item): boolean {
    if (item.kind === 'free') return item.isBegun
    if (item.kind === 'number') return mayEnd(item.at)
    return item.kind === 'texts' && item.at.ends.length > 0
  }

  /** What may come behind a byte; only what leads to an end. */
  step(item: Item, byte: number): readonly Item[] {
    const known = item.steps?.get(byte)
    if (known !== undefined) return known
    const own = this.#step(item, byte)
    const next = item.rest !== undefined && this.#isDone(item) ? this.step(item.rest, byte) : NONE
    const both = next.length === 0 ? own : [...own, ...next]
    const all = both.every(isPossible) ? both : both.filter(isPossible)
    if (all.length === 0) return NONE
    item.steps ??= new Map()
    item.steps.set(byte, all)
    return all
  }

  #step(item: Item, byte: number): readonly Item[] {
    const { rest } = item
    switch (item.kind) {
      case 'end':
        return NONE
      case 'free': {
        const isOpening = byte === OPEN_BRACE || byte <= SPACE
        return !item.isBegun && isOpening
          ? NONE
          : [this.#item({ kind: 'free', isBegun: true }, rest)]
      }
      case 'value':
        return this.#stepAll(this.#beginnings(item), byte, item.maySpace && byte === SPACE)
      case 'texts': {
        const at = item.at.child(byte)
        if (at === undefined) return NONE
        return at.hasMore ? [this.#item({ kind: 'texts', at }, rest)] : behind(rest)
      }
      case 'number': {
        const at = stepNumber(item.at, byte)
        return at === undefined ? NONE : [this.#item({ kind: 'number', at }, rest)]
      }
      case 'string': {
        const at = stepString(item.at, byte, this.make)
        if (at?.place.kind === 'behind') return behind(rest)
        return at === undefined ? NONE : [this.#item({ kind: 'string', at }, rest)]
      }
      case 'name':
        return this.#stepName(item, byte)
      case 'other': {
        if (item.at.place.kind === 'behind') return byte === COLON ? this.#otherValue(item) : NONE
        const at = stepString(item.at, byte, this.make)
        return at === undefined ? NONE : [this.#item({ kind: 'other', at, in: item.in }, rest)]
      }
      case 'object':
        return this.#stepObject(item, byte)
      case 'array':
        return this.#stepArray(item, byte)
    }
  }

  #stepAll(items: readonly Item[], byte: number, isSpace: boolean): readonly Item[] {
    return isSpace ? items : items.flatMap((one) => this.step(one, byte))
  }

  /** What a value may begin with, each option on its own. */
  #beginnings(item: Item & { readonly kind: 'value' }): readonly Item[] {
    if (item.begun !== undefined) return item.begun
    const found: Item[] = []
    const seen = new Set<SchemaNode>()
    const open = [item.node]
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (seen.has(node)) continue
      seen.add(node)
      if (node.kind === 'either') open.push(...node.of)
      else found.push(this.#beginning(node, item.rest))
    }
    item.begun = found.filter(isPossible)
    return item.begun
  }

  #beginning(node: Exclude<SchemaNode, { readonly kind: 'either' }>, rest: Item | undefined): Item {
    switch (node.kind) {
      case 'texts':
        return this.#item({ kind: 'texts', at: this.#trieOf(node, () => node.texts) }, rest)
      case 'string':
        return this.#item({ kind: 'string', at: stringStart(node.expression) }, rest)
      case 'number':
        return this.#item({ kind: 'number', at: numberStart(node) }, rest)
      case 'object': {
        const first = { shape: node, next: 0, count: 0 }
        return this.#opening(
          node,
          '{',
          this.#item({ kind: 'object', behind: 'brace', in: first }, rest),
        )
      }
      case 'array': {
        const first = { kind: 'array' as const, isFirst: true, shape: node, count: 0 }
        return this.#opening(node, '[', this.#item(first, rest))
      }
    }
  }

  #opening(node: SchemaNode, bracket: string, rest: Item): Item {
    return this.#item({ kind: 'texts', at: this.#trieOf(node, () => [bracket]) }, rest)
  }

  #trieOf(node: SchemaNode, texts: () => readonly string[]): TrieNode {
    const trie = this.#texts.get(node) ?? TrieNode.of(texts().map(bytesText))
    this.#texts.set(node, trie)
    return trie
  }

  #stepName(item: Item & { readonly kind: 'name' }, byte: number): readonly Item[] {
    const at = item.at.child(byte)
    if (at === undefined) return NONE
    const { shape, count } = item.in
    const named = at.ends.map((number) => {
      const place = { shape, next: number + 1, count: countIn(shape, count + 1) }
      const object = this.#item({ kind: 'object', behind: 'value', in: place }, item.rest)
      const node = shape.properties[number].value
      return this.#item({ kind: 'value', node, maySpace: true }, object)
    })
    if (!at.hasMore) return named
    return [...named, this.#item({ kind: 'name', at, in: item.in }, item.rest)]
  }

  #otherValue({ in: { shape, count }, rest }: Item & { readonly kind: 'other' }): readonly Item[] {
    if (shape.others === undefined) return NONE
    const next = shape.properties.length
    const place = { shape, next, count: countIn(shape, count + 1) }
    const object = this.#item({ kind: 'object', behind: 'value', in: place }, rest)
    return [this.#item({ kind: 'value', node: shape.others.value, maySpace: true }, object)]
  }

  #stepObject(item: Item & { readonly kind: 'object' }, byte: number): readonly Item[] {
    const { in: place, rest } = item
    const { shape, next, count } = place
    if (item.behind !== 'comma' && byte === CLOSE_BRACE) {
      return mayClose(shape, next, count) ? behind(rest) : NONE
    }
    if (item.behind === 'value') {
      if (byte !== COMMA || count >= shape.max) return NONE
      return [this.#item({ kind: 'object', behind: 'comma', in: place }, rest)]
    }
    if (item.behind === 'brace' && count >= shape.max) return NONE
    return this.#stepAll(this.#namesAt(item), byte, item.behind === 'comma' && byte === SPACE)
  }

  /** The names that may come. */
  #namesAt(item: Item & { readonly kind: 'object' }): readonly Item[] {
    if (item.begun !== undefined) return item.begun
    const { in: place, rest } = item
    const { shape, next } = place
    const names: Item[] = []
    if (next < shape.properties.length) {
      names.push(this.#item({ kind: 'name', at: this.#namesFrom(shape, next), in: place }, rest))
    }
    if (shape.others !== undefined && mayHaveOthers(shape, next)) {
      names.push(
        this.#item({ kind: 'other', at: stringStart(shape.others.names), in: place }, rest),
      )
    }
    item.begun = names
    return names
  }

  #namesFrom(shape: ObjectShape, next: number): TrieNode {
    const tries = this.#names.get(shape) ?? []
    this.#names.set(shape, tries)
    tries[next] ??= new TrieNode(
      candidates(shape, next).map((index) => ({
        index,
        text: nameText(shape.properties[index].name),
        from: 0,
      })),
    )
    return tries[next]
  }

  #stepArray(item: Item & { readonly kind: 'array' }, byte: number): readonly Item[] {
    const { shape, count, isFirst, rest } = item
    if (byte === CLOSE_BRACKET) return count >= shape.min ? behind(rest) : NONE
    if (!isFirst && byte !== COMMA) return NONE
    const node = shape.first[count] ?? shape.rest
    if (node === undefined || count >= shape.max) return NONE
    const cap = Math.max(shape.first.length, shape.min)
    const grown = shape.max === Number.POSITIVE_INFINITY ? Math.min(count + 1, cap) : count + 1
    const next = this.#item({ kind: 'array', isFirst: false, shape, count: grown }, rest)
    const value = this.#item({ kind: 'value', node, maySpace: !isFirst }, next)
    return isFirst ? this.step(value, byte) : [value]
  }

  #needOf(part: Part, rest: Item | undefined): number {
    const after = rest?.need ?? 0
    const lexicon = this.#lexicon
    const needs = this.#needs
    switch (part.kind) {
      case 'end':
        return 0
      case 'free':
        return after
      case 'value':
        return needs.value(part.node) + after
      case 'texts':
        return this.#nearestEnd(part.at, () => 0) + after
      case 'number':
        return numberNeed(part.at) + after
      case 'string':
        return stringNeed(part.at, this.make, lexicon) + after
      case 'name': {
        const { shape, count } = part.in
        const behindName = (index: number): number =>
          needs.value(shape.properties[index].value) +
          needs.object(shape, index + 1, countIn(shape, count + 1), false)
        return this.#nearestEnd(part.at, behindName) + after
      }
      case 'other': {
        const { shape, count } = part.in
        if (shape.others === undefined) return Number.POSITIVE_INFINITY
        const next = shape.properties.length
        const rest = needs.object(shape, next, countIn(shape, count + 1), false)
        const name = stringNeed(part.at, this.make, lexicon)
        return name + needs.behindName(shape.others.value) + rest + after
      }
      case 'object': {
        const { shape, next, count } = part.in
        if (part.behind !== 'comma') {
          return needs.object(shape, next, count, part.behind === 'brace') + after
        }
        return needs.name(shape, next, count) + after
      }
      case 'array':
        return needs.array(part.shape, part.count) + after
    }
  }

  /** @param behindEnd what is needed behind each of the texts */
  #nearestEnd({ endings }: TrieNode, behindEnd: (index: number) => number): number {
    let nearest = Number.POSITIVE_INFINITY
    for (const { index, text, from } of endings) {
      // Within a character there may be no end that tokens lead to.
      const cost = Math.min(FAR, this.#lexicon.cost(text, from))
      nearest = Math.min(nearest, cost + behindEnd(index))
    }
    return nearest
  }

  #item(part: Part, rest: Item | undefined): Item {
    const key = `${this.#keyOf(part)} ${rest?.id}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    if (this.#known.size >= MOST_KNOWN) this.#known.clear()
    const need = this.#needOf(part, rest)
    const made: Item = { ...part, id: this.#made++, rest, need, steps: undefined, begun: undefined }
    this.#known.set(key, made)
    return made
  }

  #keyOf(part: Part): string {
    switch (part.kind) {
      case 'end':
        return 'end'
      case 'free':
        return `free ${part.isBegun}`
      case 'value':
        return `value ${this.#numberOf(part.node)} ${part.maySpace}`
      case 'texts':
        return `texts ${part.at.id}`
      case 'number':
        return `number ${this.#numberOf(part.at.shape)} ${numberKey(part.at)}`
      case 'string':
        return `string ${stringKey(part.at)}`
      case 'name':
        return `name ${part.at.id} ${this.#placeKey(part.in)}`
      case 'other':
        return `other ${stringKey(part.at)} ${this.#placeKey(part.in)}`
      case 'object':
        return `object ${part.behind} ${this.#placeKey(part.in)}`
      case 'array':
        return `array ${part.isFirst} ${this.#numberOf(part.shape)} ${part.count}`
    }
  }

  #placeKey({ shape, next, count }: ObjectPlace): string {
    return `${this.#numberOf(shape)} ${next} ${count}`
  }

  #numberOf(thing: object): number {
    const number = this.#numbers.get(thing) ?? this.#numbers.size
    this.#numbers.set(thing, number)
    return number
  }
}

function behind(rest: Item | undefined): readonly Item[] {
  return rest === undefined ? NONE : [rest]
}

function isPossible({ need }: Item): boolean {
  return need !== Number.POSITIVE_INFINITY
}

/** Where there may be any number of values, no more are counted than there have to be. */
function countIn({ min, max }: ObjectShape, count: number): number {
  return max === Number.POSITIVE_INFINITY ? Math.min(count, min) : count
}
