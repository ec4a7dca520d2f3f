/** From a JSON Schema to what an answer may be. */
import { isObject, isWhole, type JsonObject } from '../checks.ts'
import { numberShape } from './decimal.ts'
import type { Expression, Expressions } from './expression.ts'
import { FORMATS, OTHER_FORMATS } from './formats.ts'
import { type Path, refuse } from './grammar-error.ts'
import { areApart } from './one-of.ts'
import { expressionOf } from './pattern.ts'
import { checkKeywords, heldBy, listOf, merged, typesOf } from './schema-keywords.ts'
import type { ArrayShape, ObjectShape, Property, SchemaNode } from './schema-node.ts'

const MOST_DEPTH = 64
const MOST_NODES = 10_000
const MOST_OPTIONS = 512
const MOST_NAME = 200
/** What an object needs to its end is asked from name to name, a call each. */
const MOST_PROPERTIES = 2000

/** Words that say of which type a value is meant to be, where no type is named. */
const TELLING: readonly (readonly [type: string, words: readonly string[]])[] = [
  [
    'object',
    ['properties', 'required', 'additionalProperties', 'propertyNames', 'patternProperties'],
  ],
  ['array', ['items', 'prefixItems', 'minItems', 'maxItems']],
  ['string', ['minLength', 'maxLength', 'pattern', 'format']],
  ['number', ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']],
]

/** @throws UsageError naming the place that no answer can be held to */
export function compileSchema(schema: unknown, make: Expressions): SchemaNode {
  return new SchemaCompiler(schema, make).node(schema, [])
}

class SchemaCompiler {
  readonly #root: unknown
  readonly #make: Expressions
  readonly #known = new Map<object, SchemaNode>()
  #any: SchemaNode | undefined
  #nodes = 0
  #depth = 0

  constructor(root: unknown, make: Expressions) {
    this.#root = root
    this.#make = make
  }

  node(schema: unknown, path: Path): SchemaNode {
    if (schema === false) return { kind: 'either', of: [] }
    if (schema === true) return this.#anyValue()
    if (!isObject(schema)) return refuse(path, 'is no schema, neither an object nor true or false')
    const known = this.#known.get(schema)
    if (known !== undefined) return known
    if (++this.#nodes > MOST_NODES) refuse(path, `is one of more than ${MOST_NODES} schemas`)
    if (++this.#depth > MOST_DEPTH) refuse(path, `lies deeper than ${MOST_DEPTH} schemas`)
    const made = { kind: 'either' as const, of: [] as readonly SchemaNode[] }
    this.#known.set(schema, made)
    made.of = this.#options(this.#flat(schema, path, 0), path)
    this.#depth--
    return made
  }

  /** Without references to elsewhere and without allOf. */
  #flat(schema: unknown, path: Path, depth: number): unknown {
    if (!isObject(schema)) return schema
    if (depth > MOST_DEPTH) refuse(path, `leads through more than ${MOST_DEPTH} references`)
    checkKeywords(schema, path)
    const { $ref, allOf, ...rest } = schema
    if ($ref === undefined && allOf === undefined) return heldBy(schema)
    const parts = [
      ...($ref === undefined ? [] : [this.#target($ref, path)]),
      ...listOf(allOf),
      heldBy(rest),
    ]
    return parts
      .map((part) => this.#flat(part, path, depth + 1))
      .reduce((a, b) => this.#flat(merged(a, b, path), path, depth + 1), true as unknown)
  }

  /** What a reference within the schema leads to. */
  #target(ref: unknown, path: Path): unknown {
    if (typeof ref !== 'string' || !/^#(?:\/|$)/.test(ref)) {
      refuse(
        [...path, '$ref'],
        'leads out of the schema, or to a name: give a path, as "#/$defs/x"',
      )
    }
    let found: unknown = this.#root
    for (const part of ref.split('/').slice(1)) {
      const name = decoded(part)
      const isThere =
        (isObject(found) || Array.isArray(found)) && Object.hasOwn(found as object, name)
      if (!isThere) refuse([...path, '$ref'], `leads to nothing: ${ref.slice(0, 80)}`)
      found = (found as Record<string, unknown>)[name]
    }
    return found
  }

  #options(schema: unknown, path: Path): readonly SchemaNode[] {
    if (schema === true) return [this.#anyValue()]
    if (!isObject(schema)) return []
    for (const word of ['anyOf', 'oneOf']) {
      if (schema[word] !== undefined) return this.#union(schema, word, path)
    }
    if (schema.enum !== undefined || 'const' in schema) return [this.#constants(schema, path)]
    // Two schemas may leave no type, and that is no value.
    if (schema.type !== undefined) {
      return typesOf(schema.type).map((type) => this.#typed(type, schema, path))
    }
    const types = typesToldBy(schema)
    if (types.length === 0) return [this.#anyValue()]
    return types.map((type) => this.#typed(type, schema, path))
  }

  #union(schema: JsonObject, word: string, path: Path): readonly SchemaNode[] {
    const at = [...path, word]
    const options = listOf(schema[word])
    if (options.length === 0 || options.length > MOST_OPTIONS) {
      refuse(at, `is no list of 1 to ${MOST_OPTIONS} schemas`)
    }
    if (word === 'oneOf') {
      const flat = options.map((option, i) => this.#flat(option, [...at, i], 0))
      if (!areApart(flat)) {
        refuse(at, 'has options that one value could be both of. Use anyOf if that is all right')
      }
    }
    const base = heldBy(schema, [word])
    const isBare = Object.keys(base).length === 0
    return options.map((option, i) =>
      this.node(isBare ? option : { allOf: [base, option] }, [...at, i]),
    )
  }

  #constants(schema: JsonObject, path: Path): SchemaNode {
    const beside = Object.keys(heldBy(schema, ['enum', 'const', 'type']))
    if (beside.length > 0) refuse(path, `has "${beside[0]}" beside its constants`)
    const values = 'const' in schema ? [schema.const] : listOf(schema.enum)
    const allowed = 'const' in schema && schema.enum ? listOf(schema.enum) : values
    const texts = values
      .filter((value) => schema.type === undefined || typesOf(schema.type).some(isOf(value)))
      .map((value) => JSON.stringify(value))
      .filter((text) => allowed.some((value) => JSON.stringify(value) === text))
    return { kind: 'texts', texts: [...new Set(texts)] }
  }

  #typed(type: unknown, schema: JsonObject, path: Path): SchemaNode {
    switch (type) {
      case 'null':
        return { kind: 'texts', texts: ['null'] }
      case 'boolean':
        return { kind: 'texts', texts: ['true', 'false'] }
      case 'string':
        return { kind: 'string', expression: this.#text(schema, path) }
      case 'integer':
        return numberShape(schema, true, path)
      case 'number':
        return numberShape(schema, false, path)
      case 'array':
        return this.#array(schema, path)
      case 'object':
        return this.#object(schema, path)
      default:
        return refuse([...path, 'type'], 'is none of the types of JSON')
    }
  }

  #text(schema: JsonObject, path: Path): Expression {
    const { pattern, format } = schema
    const [min, max] = boundsOf(schema, 'Length', path)
    const parts = [this.#make.repeat(this.#make.any, min, max)]
    const take = (source: string, word: string): void => {
      try {
        parts.push(expressionOf(source, this.#make))
      } catch (error) {
        if (!(error instanceof Error) || error.name === 'UsageError') throw error
        refuse([...path, word], error.message)
      }
    }
    if (pattern !== undefined) {
      if (typeof pattern !== 'string') refuse([...path, 'pattern'], 'is no text')
      take(pattern, 'pattern')
    }
    if (typeof format === 'string') {
      const known = FORMATS.get(format)
      if (OTHER_FORMATS.includes(format)) refuse([...path, 'format'], 'is not one of those known')
      if (known !== undefined) take(known, 'format')
    }
    return this.#make.and(parts)
  }

  #array(schema: JsonObject, path: Path): ArrayShape {
    const [min, max] = boundsOf(schema, 'Items', path)
    // Drafts before 2020 have a tuple in `items` and the rest in `additionalItems`.
    const isOld = Array.isArray(schema.items)
    const prefixItems = isOld ? schema.items : schema.prefixItems
    const items = isOld ? schema.additionalItems : schema.items
    const made: ArrayShape = { kind: 'array', first: [], rest: undefined, min, max }
    for (const [i, item] of listOf(prefixItems).entries()) {
      made.first.push(this.node(item, [...path, 'prefixItems', i]))
    }
    // Beside a tuple nothing more is written unless that is asked for.
    const isClosed = items === false || (items === undefined && made.first.length > 0)
    if (!isClosed) made.rest = this.node(items ?? true, [...path, 'items'])
    return made
  }

  #object(schema: JsonObject, path: Path): ObjectShape {
    const given = schema.properties ?? {}
    if (!isObject(given)) return refuse([...path, 'properties'], 'is no object')
    const required = listOf(schema.required).map(String)
    const names = [...new Set([...Object.keys(given), ...required])]
    if (names.length > MOST_PROPERTIES) refuse(path, `has more than ${MOST_PROPERTIES} properties`)
    const make = this.#make
    const nameForm = this.#names(schema, path)
    const other = this.#others(schema, path)
    const properties: Property[] = []
    const [min, max] = boundsOf(schema, 'Properties', path)
    const made: ObjectShape = { kind: 'object', properties, others: undefined, min, max }
    for (const name of names) {
      if (name.length > MOST_NAME) {
        refuse(path, `has a property whose name is longer than ${MOST_NAME} characters`)
      }
      const isOwn = Object.hasOwn(given, name)
      const value = isOwn ? given[name] : (other?.value ?? true)
      const at = isOwn ? [...path, 'properties', name] : path
      properties.push({ name, isRequired: required.includes(name), value: this.node(value, at) })
    }
    if (other !== undefined && other.value !== false) {
      const taken = make.or(names.map((name) => make.text(name)))
      const free = make.and([nameForm, other.names, make.not(taken)])
      made.others = { names: free, value: this.node(other.value, [...path, other.word]) }
    }
    // Names that come twice count once, so that no more than one of the others is counted on.
    if (min > properties.length + (made.others === undefined ? 0 : 1)) {
      refuse([...path, 'minProperties'], 'is more than the properties that are named')
    }
    return made
  }

  /** What names may be. */
  #names({ propertyNames }: JsonObject, path: Path): Expression {
    if (propertyNames === undefined || propertyNames === true) return this.#make.all
    const at = [...path, 'propertyNames']
    const flat = this.#flat(propertyNames, at, 0)
    if (flat === true) return this.#make.all
    if (!isObject(flat)) return this.#make.none
    if (flat.enum === undefined && !('const' in flat)) return this.#text(flat, at)
    const texts = 'const' in flat ? [flat.const] : listOf(flat.enum)
    const { or, text } = this.#make
    return or.call(
      this.#make,
      texts.map((one) => text.call(this.#make, String(one))),
    )
  }

  /** Properties that are not named. */
  #others(
    { properties, additionalProperties, unevaluatedProperties, patternProperties }: JsonObject,
    path: Path,
  ): { readonly names: Expression; readonly value: unknown; readonly word: string } | undefined {
    const { all } = this.#make
    const beside = additionalProperties ?? unevaluatedProperties
    const patterns = Object.entries((patternProperties ?? {}) as JsonObject)
    if (patterns.length > 0) {
      const word = 'patternProperties'
      if (patterns.length > 1 || (beside !== undefined && beside !== false)) {
        refuse([...path, word], 'is more than one pattern, or has additionalProperties beside it')
      }
      const [[pattern, value]] = patterns
      const names = this.#text({ pattern }, [...path, word])
      return { names, value, word }
    }
    if (beside !== undefined) return { names: all, value: beside, word: 'additionalProperties' }
    // An object without a word on its properties may have any; beside those that are named none are written.
    const isOpen = properties === undefined
    return isOpen ? { names: all, value: true, word: 'additionalProperties' } : undefined
  }

  #anyValue(): SchemaNode {
    if (this.#any !== undefined) return this.#any
    const made = { kind: 'either' as const, of: [] as readonly SchemaNode[] }
    this.#any = made
    const { all } = this.#make
    const most = Number.POSITIVE_INFINITY
    made.of = [
      { kind: 'texts', texts: ['null', 'true', 'false'] },
      { kind: 'string', expression: all },
      numberShape({}, false, []),
      { kind: 'array', first: [], rest: made, min: 0, max: most },
      { kind: 'object', properties: [], others: { names: all, value: made }, min: 0, max: most },
    ]
    return made
  }
}

function typesToldBy(schema: JsonObject): readonly string[] {
  return TELLING.flatMap(([type, words]) =>
    words.some((word) => schema[word] !== undefined) ? [type] : [],
  )
}

/** @throws UsageError unless both are whole numbers */
function boundsOf(schema: JsonObject, what: string, path: Path): readonly [number, number] {
  const [min, max] = ['min', 'max'].map((side) => {
    const value = schema[side + what]
    if (value !== undefined && !isWhole(value)) refuse([...path, side + what], 'is no whole number')
    return value as number | undefined
  })
  return [min ?? 0, max ?? Number.POSITIVE_INFINITY]
}

function isOf(value: unknown): (type: unknown) => boolean {
  return (type) => {
    if (type === 'null') return value === null
    if (type === 'array') return Array.isArray(value)
    if (type === 'object') return isObject(value)
    if (type === 'integer') return Number.isInteger(value)
    return typeof value === type
  }
}

/** A part of a JSON pointer in a URL. */
function decoded(part: string): string {
  let text = part
  try {
    text = decodeURIComponent(part)
  } catch {
    // A name with a percent sign of its own.
  }
  return text.replaceAll('~1', '/').replaceAll('~0', '~')
}
