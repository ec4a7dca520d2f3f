/** The words of JSON Schema that hold an answer, and what two schemas at the same place mean together. */
import { isObject, type JsonObject } from '../checks.ts'
import { type Path, refuse } from './grammar-error.ts'

/** What is read; all words beside these that would narrow an answer are refused. */
const READ: readonly string[] = [
  ...['type', 'enum', 'const', '$ref', 'anyOf', 'oneOf', 'allOf'],
  ...['properties', 'required', 'additionalProperties', 'propertyNames', 'patternProperties'],
  ...['minProperties', 'maxProperties', 'unevaluatedProperties'],
  ...['items', 'prefixItems', 'additionalItems', 'minItems', 'maxItems', 'unevaluatedItems'],
  ...['minLength', 'maxLength', 'pattern', 'format'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
]

/** What no answer can be held to piece by piece. */
const REFUSED: readonly string[] = [
  ...['not', 'if', 'then', 'else', 'contains', 'minContains', 'maxContains'],
  ...['dependentRequired', 'dependentSchemas', 'dependencies'],
  ...['$dynamicRef', '$recursiveRef'],
]

/** @throws UsageError for a word that cannot be held */
export function checkKeywords(schema: JsonObject, path: Path): void {
  const refused = REFUSED.find((word) => schema[word] !== undefined)
  if (refused !== undefined) refuse(path, `has "${refused}"`)
  if (schema.uniqueItems === true) refuse(path, 'has "uniqueItems"')
}

/** The words of a schema that hold something, without those of `but`. */
export function heldBy(schema: JsonObject, but: readonly string[] = []): JsonObject {
  const own = Object.entries(schema).filter(
    ([word, value]) => READ.includes(word) && value !== undefined && !but.includes(word),
  )
  return Object.fromEntries(own)
}

/** A schema of what both allow. @throws UsageError where that cannot be written */
export function merged(a: unknown, b: unknown, path: Path): unknown {
  if (a === true || a === undefined) return b
  if (b === true || b === undefined) return a
  if (a === false || b === false) return false
  if (!isObject(a) || !isObject(b)) refuse(path, 'is no schema')
  checkKeywords(a, path)
  checkKeywords(b, path)
  const [left, right] = [heldBy(a), heldBy(b)]
  if ('$ref' in left || '$ref' in right || 'allOf' in left || 'allOf' in right) {
    return { allOf: [a, b] }
  }
  const out: Record<string, unknown> = { ...left, ...right }
  for (const word of Object.keys(left)) {
    if (word in right) out[word] = both(word, left, right, path)
  }
  // What one forbids beside its own properties, it forbids of the other's.
  if ('properties' in out) out.properties = propertiesOf(left, right, path)
  return out
}

function both(word: string, left: JsonObject, right: JsonObject, path: Path): unknown {
  const [a, b] = [left[word], right[word]]
  if (JSON.stringify(a) === JSON.stringify(b)) return a
  switch (word) {
    case 'type':
      return [
        ...typesOf(a).filter((type) => typesOf(b).includes(type) || isWholeOf(type, typesOf(b))),
        ...typesOf(b).filter((type) => !typesOf(a).includes(type) && isWholeOf(type, typesOf(a))),
      ]
    case 'required':
      return [...new Set([...listOf(a), ...listOf(b)])]
    case 'enum':
      return listOf(a).filter((value) =>
        listOf(b).some((other) => JSON.stringify(other) === JSON.stringify(value)),
      )
    case 'const':
      return refuse(path, 'asks for two constants at once')
    case 'minimum':
    case 'exclusiveMinimum':
    case 'minLength':
    case 'minItems':
    case 'minProperties':
      return Math.max(Number(a), Number(b))
    case 'maximum':
    case 'exclusiveMaximum':
    case 'maxLength':
    case 'maxItems':
    case 'maxProperties':
      return Math.min(Number(a), Number(b))
    case 'items':
    case 'additionalProperties':
    case 'propertyNames':
      return merged(a, b, [...path, word])
    case 'properties':
      return a // put together by its caller
    default:
      return refuse(path, `asks for two different things by "${word}" at once`)
  }
}

function propertiesOf(left: JsonObject, right: JsonObject, path: Path): JsonObject {
  const names = [left, right].flatMap(({ properties = {} }) => Object.keys(properties as object))
  const schemaOf = ({ properties, additionalProperties }: JsonObject, name: string): unknown =>
    isObject(properties) && Object.hasOwn(properties, name)
      ? properties[name]
      : additionalProperties
  const at = [...path, 'properties']
  const entries = [...new Set(names)].map((name) => [
    name,
    merged(schemaOf(left, name), schemaOf(right, name), [...at, name]) ?? true,
  ])
  return Object.fromEntries(entries)
}

function isWholeOf(type: unknown, others: readonly unknown[]): boolean {
  return type === 'integer' && others.includes('number')
}

export function typesOf(type: unknown): readonly unknown[] {
  return Array.isArray(type) ? type : [type]
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
