/** How few tokens write what is still missing of a value. */
import type { Expressions } from './expression.ts'
import { type Lexicon, latin1Of } from './lexicon.ts'
import { numberNeed, numberStart } from './number-state.ts'
import type { ArrayShape, ObjectShape, SchemaNode } from './schema-node.ts'
import { stringNeed, stringStart } from './string-state.ts'

const NEVER = Number.POSITIVE_INFINITY

export class Needs {
  readonly #lexicon: Lexicon
  readonly #make: Expressions
  readonly #values = new Map<SchemaNode, number>()
  readonly #objects = new Map<ObjectShape, Map<string, number>>()

  /** Settles what each value needs, which may depend on itself: by and by, until nothing changes. */
  constructor(root: SchemaNode, lexicon: Lexicon, make: Expressions) {
    this.#lexicon = lexicon
    this.#make = make
    const nodes = nodesOf(root)
    for (const node of nodes) this.#values.set(node, NEVER)
    for (let isSettled = false; !isSettled; ) {
      isSettled = true
      // Inner ones first: most are settled at once.
      for (const node of nodes.toReversed()) {
        this.#objects.clear()
        const need = this.#computed(node)
        if (need >= this.value(node)) continue
        this.#values.set(node, need)
        isSettled = false
      }
    }
    this.#objects.clear()
  }

  /** A whole value; infinite where none can be written. */
  value(node: SchemaNode): number {
    return this.#values.get(node) ?? NEVER
  }

  /** What an object needs behind `count` values, of which those named in the schema lie before `next`. */
  object(shape: ObjectShape, next: number, count: number, isFirst: boolean): number {
    if (mayClose(shape, next, count)) return this.#lexicon.cost('}')
    if (count >= shape.max) return NEVER
    return (isFirst ? 0 : this.#lexicon.cost(',')) + this.name(shape, next, count)
  }

  /** The same where a name has to come. */
  name(shape: ObjectShape, next: number, count: number): number {
    const known = this.#objects.get(shape) ?? new Map<string, number>()
    this.#objects.set(shape, known)
    const key = `${next} ${count}`
    const need = known.get(key) ?? this.#name(shape, next, count)
    known.set(key, need)
    return need
  }

  #name(shape: ObjectShape, next: number, count: number): number {
    let least = NEVER
    for (const at of candidates(shape, next)) {
      const { name, value } = shape.properties[at]
      const own = this.#lexicon.cost(nameText(name)) + this.value(value)
      if (own < least) least = Math.min(least, own + this.object(shape, at + 1, count + 1, false))
    }
    if (mayHaveOthers(shape, next)) {
      const rest = this.object(shape, shape.properties.length, count + 1, false)
      least = Math.min(least, this.other(shape) + rest)
    }
    return least
  }

  /** A name that is not in the schema, and its value. */
  other({ others }: ObjectShape): number {
    if (others === undefined) return NEVER
    const name = stringNeed(stringStart(others.names), this.#make, this.#lexicon)
    return name + this.behindName(others.value)
  }

  behindName(value: SchemaNode): number {
    return this.#lexicon.cost(':') + this.value(value)
  }

  /** What an array needs behind `count` values. */
  array(shape: ArrayShape, count: number): number {
    const { first, rest, min } = shape
    let need = this.#lexicon.cost(']')
    for (let at = count; at < Math.min(min, first.length); at++) need += this.value(first[at])
    const others = Math.max(0, min - Math.max(count, first.length))
    if (others > 0) need += others * (rest === undefined ? NEVER : this.value(rest))
    const commas = Math.max(0, min - count) - (count === 0 && min > 0 ? 1 : 0)
    return need + commas * this.#lexicon.cost(',')
  }

  #computed(node: SchemaNode): number {
    switch (node.kind) {
      case 'either':
        return Math.min(NEVER, ...node.of.map((one) => this.value(one)))
      case 'texts':
        return Math.min(NEVER, ...node.texts.map((text) => this.#lexicon.cost(bytesText(text))))
      case 'string':
        return stringNeed(stringStart(node.expression), this.#make, this.#lexicon)
      case 'number':
        return numberNeed(numberStart(node))
      case 'object':
        return this.#lexicon.cost('{') + this.object(node, 0, 0, true)
      case 'array':
        return this.#lexicon.cost('[') + this.array(node, 0)
    }
  }
}

/** All that a value is made of, itself first. */
function nodesOf(root: SchemaNode): readonly SchemaNode[] {
  const nodes = new Set<SchemaNode>([root])
  for (const node of nodes) {
    if (node.kind === 'either') for (const one of node.of) nodes.add(one)
    if (node.kind === 'array') for (const one of [...node.first, node.rest]) if (one) nodes.add(one)
    if (node.kind === 'object') {
      for (const { value } of node.properties) nodes.add(value)
      if (node.others !== undefined) nodes.add(node.others.value)
    }
  }
  return [...nodes]
}

/** Whether nothing is missing of an object. */
export function mayClose({ properties, min }: ObjectShape, next: number, count: number): boolean {
  return count >= min && !properties.slice(next).some(({ isRequired }) => isRequired)
}

/** Properties that may come next, by their numbers: up to the first that must come. */
export function candidates({ properties }: ObjectShape, next: number): readonly number[] {
  const found: number[] = []
  for (let at = next; at < properties.length; at++) {
    found.push(at)
    if (properties[at].isRequired) break
  }
  return found
}

/** Others come behind all that must come. */
export function mayHaveOthers({ properties, others }: ObjectShape, next: number): boolean {
  return others !== undefined && !properties.slice(next).some(({ isRequired }) => isRequired)
}

/** The name of a property as an object has it, with its colon; a character for each byte. */
export function nameText(name: string): string {
  return bytesText(`${JSON.stringify(name)}:`)
}

const encoder = new TextEncoder()

/** A character for each byte of a text. */
export function bytesText(text: string): string {
  return latin1Of(encoder.encode(text))
}
