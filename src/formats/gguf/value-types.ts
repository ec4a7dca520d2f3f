/**
 * The thirteen types of metadata values in GGUF, and how its numbers lie in a header: little-endian.
 */
import type { GgufValue } from '../model-file.ts'

/**
 * Fewest bytes of a value of each type; an array has at least its element type and count. A type's id
 * in the file is its place in this list.
 */
export const VALUE_BYTES = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8,
  array: 12,
  u64: 8,
  i64: 8,
  f64: 8,
} as const

export type GgufValueType = keyof typeof VALUE_BYTES

/** By id. */
export const VALUE_TYPES = Object.keys(VALUE_BYTES) as readonly GgufValueType[]

/** Numbers that a float64 holds. They lie in memory as in files: little-endian, as everywhere today. */
const NUMBERS = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  f64: Float64Array,
} as const

/** Types of numbers that a float64 holds. */
export type GgufNumberType = keyof typeof NUMBERS

export function isNumberType(type: string): type is GgufNumberType {
  return Object.hasOwn(NUMBERS, type)
}

/** A metadata value with the type it is stored as. */
export type GgufTypedValue =
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: GgufNumberType; readonly value: number }
  | { readonly type: 'u64'; readonly value: number | bigint }
  | { readonly type: 'i64'; readonly value: number | bigint }
  | { readonly type: 'array'; readonly of: 'string'; readonly value: readonly string[] }
  | { readonly type: 'array'; readonly of: 'bool'; readonly value: readonly boolean[] }
  | { readonly type: 'array'; readonly of: GgufNumberType; readonly value: ArrayLike<number> }

/** The numbers that bytes stand for, in memory of their own. */
export function numbersOf(type: GgufNumberType, bytes: Uint8Array) {
  return new NUMBERS[type](bytes.slice().buffer)
}

/** The bytes that stand for numbers. */
export function bytesOf(type: GgufNumberType, values: ArrayLike<number>): Uint8Array {
  return new Uint8Array(NUMBERS[type].from(values).buffer)
}

/**
 * A value with the type that a file named for it: "u32", or "f32[]" for an array.
 *
 * @returns undefined if no value of this kind can be written as that type
 */
export function withType(value: GgufValue, type: string): GgufTypedValue | undefined {
  const of = type.replace(/\[\]$/, '')
  const isNumber = isNumberType(of)
  const isList = of !== type
  const isKnown = isList
    ? isNumber || of === 'string' || of === 'bool'
    : (isNumber && typeof value === 'number') ||
      (of === 'string' && typeof value === 'string') ||
      (of === 'bool' && typeof value === 'boolean') ||
      (/^[ui]64$/.test(of) && /^(number|bigint)$/.test(typeof value))
  if (!isKnown) return undefined
  return (isList ? { type: 'array', of, value } : { type, value }) as GgufTypedValue
}
