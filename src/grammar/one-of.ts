/** Whether no value can be right by two of several schemas. */
import { isObject, type JsonObject } from '../checks.ts'
import { listOf, typesOf } from './schema-keywords.ts'

/** @param schemas without references; what is not told apart here counts as not apart */
export function areApart(schemas: readonly unknown[]): boolean {
  return schemas.every((a, i) => schemas.slice(i + 1).every((b) => arePairApart(a, b)))
}

function arePairApart(a: unknown, b: unknown): boolean {
  if (a === false || b === false) return true
  if (!isObject(a) || !isObject(b)) return false
  const [left, right] = [constantsOf(a), constantsOf(b)]
  if (left !== undefined && right !== undefined) return !left.some((text) => right.includes(text))
  const [types, others] = [kindsOf(a), kindsOf(b)]
  if (types === undefined || others === undefined) return false
  if (!types.some((type) => others.includes(type))) return true
  if (types.join() !== 'object' || others.join() !== 'object') return false
  return listOf(a.required).some((name) => {
    if (!listOf(b.required).includes(name)) return false
    const [one, other] = [a, b].map(({ properties }) =>
      isObject(properties) ? properties[String(name)] : undefined,
    )
    if (!isObject(one) || !isObject(other)) return false
    const tags = constantsOf(one)
    const otherTags = constantsOf(other)
    return tags !== undefined && otherTags?.some((text) => tags.includes(text)) === false
  })
}

/** The only values that there are, as JSON. */
function constantsOf(schema: JsonObject): readonly string[] | undefined {
  if ('const' in schema) return [JSON.stringify(schema.const)]
  return schema.enum === undefined
    ? undefined
    : listOf(schema.enum).map((value) => JSON.stringify(value))
}

/** Kinds of values; whole numbers are numbers. */
function kindsOf(schema: JsonObject): readonly unknown[] | undefined {
  const constants = constantsOf(schema)
  if (constants !== undefined) return constants.map((text) => kindOf(JSON.parse(text)))
  if (schema.type === undefined) return undefined
  return typesOf(schema.type).map((type) => (type === 'integer' ? 'number' : type))
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'object' ? 'object' : typeof value
}
