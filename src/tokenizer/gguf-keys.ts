/**
 * Checked access to the `tokenizer.*` keys of a GGUF file. A key that is absent gives undefined; a
 * key of the wrong type or length is an error that names it.
 */
import type { GgufValue } from '../formats/model-file.ts'
import { checkCount, checkId, checkPiece, damaged, wrongType } from './vocabulary-limits.ts'

/** A GGUF file's keys with their values. */
export type GgufMetadata = ReadonlyMap<string, GgufValue>

/** A list of texts of at most `limit` entries. */
export function readStrings(
  metadata: GgufMetadata,
  key: string,
  limit: number,
): readonly string[] | undefined {
  const value = metadata.get(key)
  if (value === undefined) return undefined
  if (!Array.isArray(value)) throw wrongType(key, 'a list of texts', value)
  checkCount(value.length, key, limit)
  for (let i = 0; i < value.length; i++) checkPiece(value[i], key, i)
  return value as readonly string[]
}

/** A list of exactly `count` finite numbers. */
export function readNumbers(
  metadata: GgufMetadata,
  key: string,
  count: number,
): ArrayLike<number> | undefined {
  const value = metadata.get(key)
  if (value === undefined) return undefined
  if (typeof value !== 'object') throw wrongType(key, 'a list of numbers', value)
  if (value.length !== count) {
    const got = value.length
    throw damaged(key, `Expected ${key} to have ${count} entries, one per piece, got ${got}.`)
  }
  for (let i = 0; i < count; i++) {
    if (!Number.isFinite(value[i])) throw wrongType(key, 'a list of finite numbers', value[i])
  }
  return value as ArrayLike<number>
}

/** A token id below `limit`. */
export function readId(metadata: GgufMetadata, key: string, limit: number): number | undefined {
  const value = metadata.get(key)
  return value === undefined ? undefined : checkId(value, key, limit)
}

/** @throws FormatError naming the key if it is no text */
export function readText(metadata: GgufMetadata, key: string): string | undefined {
  const value = metadata.get(key)
  if (value === undefined || typeof value === 'string') return value
  throw wrongType(key, 'a text', value)
}

/** @throws FormatError naming the key if it is neither true nor false */
export function readBoolean(metadata: GgufMetadata, key: string): boolean | undefined {
  const value = metadata.get(key)
  if (value === undefined || typeof value === 'boolean') return value
  throw wrongType(key, 'true or false', value)
}
