/**
 * Metadata values: the thirteen value types of GGUF, read with every count checked first.
 */
import { SOME } from '../../steps.ts'
import { turnOfTheLoop } from '../../turns.ts'
import type { GgufArray, GgufValue } from '../model-file.ts'
import type { HeaderReader } from './header-reader.ts'
import {
  type GgufValueType,
  isNumberType,
  numbersOf,
  VALUE_BYTES,
  VALUE_TYPES,
} from './value-types.ts'

/** The limit of the specification. */
const MAX_KEY_BYTES = 65_535
/** A tokenizer.json stored whole is the longest string known: 33 MB for 262,144 pieces. */
const MAX_STRING_BYTES = 96 << 20
/** Over all arrays of a file; the largest vocabularies need 1.5 million. An element takes 8 bytes. */
const MAX_ARRAY_ELEMENTS = 1 << 24
/** What an element counts as, by the memory it takes: a short text, a large number, an array. */
const ELEMENT_COST: Readonly<Partial<Record<GgufValueType, number>>> = {
  string: 4,
  u64: 4,
  i64: 4,
  array: 64,
}
/** Arrays of arrays are legal, deeper nesting is not used by any known key. */
const MAX_ARRAY_DEPTH = 3

/** How many array elements the rest of a file may still hold. */
interface ElementBudget {
  left: number
  /** Of the outermost array that was read, for the record. */
  elementType: GgufValueType | undefined
  /** How many texts of it are still to be read. */
  texts: number
}

/** Stretches of texts that take some 20 ms to read. */
const STRETCHES_A_TURN = 16

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
    const { key, type, value, left, texts } = await reader.entry(() => {
      const name = reader.string(`metadata key ${i}`, MAX_KEY_BYTES)
      if (name === '') throw reader.error(`metadata key ${i}`, 'Expected a key, got an empty one.')
      const budget: ElementBudget = { left: elementsLeft, elementType: undefined, texts: 0 }
      const stored = readType(reader, name)
      const read = readValue(reader, name, stored, budget, 0)
      const shown = budget.elementType === undefined ? stored : `${budget.elementType}[]`
      return { key: name, type: shown, value: read, left: budget.left, texts: budget.texts }
    })
    if (texts > 0 && Array.isArray(value)) await readTexts(reader, key, texts, value)
    if (values.has(key)) throw reader.error(key, 'Expected each key once, got it twice.')
    values.set(key, value)
    types.set(key, type)
    elementsLeft = left
  }
  return { values, types }
}

/** Hundreds of thousands of texts, stretch by stretch: one that is not there yet costs no others, and no time of others. */
async function readTexts(
  reader: HeaderReader,
  key: string,
  count: number,
  values: GgufValue[],
): Promise<void> {
  for (let turn = 1; values.length < count; turn++) {
    const length = Math.min(SOME, count - values.length)
    const stretch = await reader.entry(() =>
      Array.from({ length }, () => reader.string(key, MAX_STRING_BYTES)),
    )
    for (const text of stretch) values.push(text)
    if (turn % STRETCHES_A_TURN === 0) await turnOfTheLoop()
  }
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
    case 'u64':
    case 'i64': {
      const value = reader.integer64(type, key)
      const number = Number(value)
      return Number.isSafeInteger(number) ? number : value
    }
    case 'bool': {
      const byte = reader.number('u8', key)
      if (byte <= 1) return byte === 1
      throw reader.error(key, `Expected 0 or 1 for a truth value, got ${byte}.`)
    }
    case 'string':
      return reader.string(key, MAX_STRING_BYTES)
    case 'array':
      return readArray(reader, key, budget, depth)
    default:
      return reader.number(type, key)
  }
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
  const cost = ELEMENT_COST[type] ?? 1
  const count = reader.count(key, Math.floor(budget.left / cost), 'array elements')
  const bytes = count * VALUE_BYTES[type]
  if (bytes > reader.bytesLeft) {
    throw reader.error(
      key,
      `Expected at least ${bytes} bytes for ${count} elements, but ${reader.bytesLeft} are left.`,
    )
  }
  budget.left -= count * cost
  if (depth === 0) budget.elementType = type
  if (isNumberType(type) && type !== 'f64') {
    const numbers = numbersOf(type, reader.bytes(bytes, key))
    if (numbers instanceof Float32Array) return numbers
    // Short integers come in words of their sign.
    return type.startsWith('u') ? Uint32Array.from(numbers) : Int32Array.from(numbers)
  }
  if (type === 'string' && depth === 0) {
    budget.texts = count
    return []
  }
  // Grown element by element: a list of claimed length is never allocated before its bytes are seen.
  const values: GgufValue[] = []
  for (let i = 0; i < count; i++) values.push(readValue(reader, key, type, budget, depth + 1))
  return values
}
