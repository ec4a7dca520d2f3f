/** What a caller says of the values that answers shall be. */
import { isObject, type JsonObject, messageOf } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import { isTypedSchema } from '../../option-checks.ts'

/** A JSON Schema as an object. */
export type JsonSchema = JsonObject

/**
 * A schema that knows its JSON Schema and the type of its values, as zod's (from 4.2 on) and others do by
 * https://standardschema.dev.
 */
export interface TypedSchema<Value = unknown> {
  readonly '~standard': {
    readonly types?: { readonly output: Value } | undefined
    readonly validate: (value: unknown) => SchemaCheck<Value> | Promise<SchemaCheck<Value>>
    readonly jsonSchema?: {
      readonly input: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown>
    }
  }
}

/** What a schema says of a value: the value, as it reads it, or what is wrong. */
export type SchemaCheck<Value> =
  | { readonly value: Value; readonly issues?: undefined }
  | { readonly issues: readonly unknown[] }

export type AnswerSchema = JsonSchema | TypedSchema

/** The type of a schema's values, where it knows that. */
export type SchemaValue<Schema> = Schema extends TypedSchema<infer Value> ? Value : unknown

/** @throws UsageError for a typed schema that has no JSON Schema, or none of a part of it */
export function jsonSchemaOf(schema: AnswerSchema): JsonSchema {
  if (!isTypedSchema(schema)) return schema as JsonSchema
  const { jsonSchema } = (schema as TypedSchema)['~standard']
  if (jsonSchema === undefined) {
    throw new UsageError(
      'Expected a schema that tells its JSON Schema, as those of zod do from 4.2 on. Give the JSON Schema itself.',
    )
  }
  let told: unknown
  try {
    told = jsonSchema.input({ target: 'draft-2020-12' })
  } catch (error) {
    throw new UsageError(`Expected a schema of what JSON can say: ${messageOf(error)}`)
  }
  if (isObject(told)) return told
  throw new UsageError('Expected a schema that tells its JSON Schema as an object.')
}

/**
 * What an answer says, if it is whole and holds what its schema checks beyond JSON Schema.
 *
 * @returns the value in an object; nothing in it where there is none
 */
export async function answerValue(
  schema: AnswerSchema,
  text: string,
): Promise<{ value?: unknown }> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return {}
  }
  if (!isTypedSchema(schema)) return { value }
  const checked = await (schema as TypedSchema)['~standard'].validate(value)
  return checked.issues === undefined ? { value: checked.value } : {}
}
