/** What a schema comes down to: the values that an answer may be, piece by piece. */
import type { Expression } from './expression.ts'

/** A number's text: sign, digits, a point and digits, an exponent. */
export interface NumberShape {
  readonly kind: 'number'
  /** Digits behind the point; 0 for whole numbers. */
  readonly fraction: number
  /** Bounds, in units of the last digit behind the point. */
  readonly min: bigint
  readonly max: bigint
  /** Of whole numbers: what they are multiples of. */
  readonly multipleOf: bigint
  readonly hasExponent: boolean
}

/** A value of an object that has its name in the schema. */
export interface Property {
  readonly name: string
  readonly isRequired: boolean
  value: SchemaNode
}

export interface ObjectShape {
  readonly kind: 'object'
  /** In the order in which an answer has them. */
  readonly properties: Property[]
  /** Behind them: names by an expression that none of the others is of, and their values. */
  others: { readonly names: Expression; readonly value: SchemaNode } | undefined
  readonly min: number
  readonly max: number
}

export interface ArrayShape {
  readonly kind: 'array'
  readonly first: SchemaNode[]
  rest: SchemaNode | undefined
  readonly min: number
  readonly max: number
}

export type SchemaNode =
  | { readonly kind: 'either'; of: readonly SchemaNode[] }
  /** One of some texts, written as JSON. */
  | { readonly kind: 'texts'; readonly texts: readonly string[] }
  | { readonly kind: 'string'; readonly expression: Expression }
  | NumberShape
  | ObjectShape
  | ArrayShape
