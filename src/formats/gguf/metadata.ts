/**
 * Metadata values: the thirteen value types of GGUF, read with every count checked first.
 */
import type { GgufArray, GgufValue } from '../model-file.ts'
import {
  MAX_ARRAY_DEPTH,
  MAX_ARRAY_ELEMENTS,
  MAX_KEY_BYTES,
  MAX_STRING_BYTES,
} from './header-limits.ts'
import type { HeaderReader } from './header-reader.ts'
import {
  type GgufNumberType,
  type GgufValueType,
  numbersOf,
  VALUE_BYTES,
  VALUE_TYPES,
} from './value-types.ts'

/** How many array elements the rest of a file may still hold. */
interface ElementBudget {
  left: number
  /** Of the outermost array that was read, for the record. */
  elementType: GgufValueType | undefined
}

interface Metadata {
  /** In the file's order. */
  readonly values: Map<string, GgufValue>
  /** The type each value is stored as: "u32", or "f32[]" for an array. */
  readonly types: Map<string, string>
}

/** Reads `count` keys with their values. */
export async function readMetadata(reader: HeaderReader, count: number): Promise<Metadata> {
  const values = new Map<string, GgufValue>()
  const types = new Map<string, string>()
  let elementsLeft = MAX_ARRAY_ELEMENTS
  for (let i = 0; i < count; i++) {
    const { key, type, value, left } = await reader.entry(() => {
      const name = reader.string(`metadata key ${i}`, MAX_KEY_BYTES)
      if (name === '') throw reader.error(`metadata key ${i}`, 'Expected a key, got an empty one.')
      const budget: ElementBudget = { left: elementsLeft, elementType: undefined }
      const stored = readType(reader, name)
      const read = readValue(reader, name, stored, budget, 0)
      const shown = budget.elementType === undefined ? stored : `${budget.elementType}[]`
      return { key: name, type: shown, value: read, left: budget.left }
    })
    if (values.has(key)) throw reader.error(key, 'Expected each key once, got it twice.')
    values.set(key, value)
    types.set(key, type)
    elementsLeft = left
  }
  return { values, types }
}

function readType(reader: HeaderReader, key: string): GgufValueType {
  const id = reader.u32(key)
  if (id < VALUE_TYPES.length) return VALUE_TYPES[id]
  throw reader.error(key, `Expected a value type from 0 to ${VALUE_TYPES.length - 1}, got ${id}.`)
}

function readValue(
  reader: HeaderReader,
  key: string,
  type: GgufValueType,
  budget: ElementBudget,
  depth: number,
): GgufValue {
  switch (type) {
    case 'u8':
    case 'i8':
    case 'u16':
    case 'i16':
    case 'u32':
    case 'i32':
    case 'f32':
    case 'f64':
      return reader.number(type, key)
    case 'u64':
    case 'i64':
      return toSafeNumber(reader.integer64(type, key))
    case 'bool':
      return readBool(reader, key)
    case 'string':
      return reader.string(key, MAX_STRING_BYTES)
    case 'array':
      return readArray(reader, key, budget, depth)
    default:
      return type satisfies never
  }
}

function readBool(reader: HeaderReader, key: string): boolean {
  const byte = reader.number('u8', key)
  if (byte <= 1) return byte === 1
  throw reader.error(key, `Expected 0 or 1 for a truth value, got ${byte}.`)
}

function toSafeNumber(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function readArray(
  reader: HeaderReader,
  key: string,
  budget: ElementBudget,
  depth: number,
): GgufArray {
  if (depth >= MAX_ARRAY_DEPTH) {
    throw reader.error(key, `Expected at most ${MAX_ARRAY_DEPTH} nested arrays, got more.`)
  }
  const type = readType(reader, key)
  const count = reader.count(key, budget.left, 'array elements')
  const bytes = count * VALUE_BYTES[type]
  if (bytes > reader.bytesLeft) {
    throw reader.error(
      key,
      `Expected at least ${bytes} bytes for ${count} elements, but ${reader.bytesLeft} are left.`,
    )
  }
  budget.left -= count
  if (depth === 0) budget.elementType = type
  switch (type) {
    case 'string':
    case 'array':
    case 'bool':
    case 'u64':
    case 'i64':
    case 'f64':
      return readList(reader, key, type, count, budget, depth)
    default:
      return readNumbers(reader.bytes(bytes, key), type)
  }
}

/** Grown element by element: an array of claimed length is never allocated before its bytes are seen. */
function readList(
  reader: HeaderReader,
  key: string,
  type: GgufValueType,
  count: number,
  budget: ElementBudget,
  depth: number,
): GgufValue[] {
  const values: GgufValue[] = []
  for (let i = 0; i < count; i++) values.push(readValue(reader, key, type, budget, depth + 1))
  return values
}

/** Short integers come in words of their sign. */
function readNumbers(bytes: Uint8Array, type: Exclude<GgufNumberType, 'f64'>): GgufArray {
  const numbers = numbersOf(type, bytes)
  if (numbers instanceof Float32Array) return numbers
  return type.startsWith('u') ? Uint32Array.from(numbers) : Int32Array.from(numbers)
}
