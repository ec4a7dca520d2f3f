/** Keys of GGUF metadata with a value, as they are written. */
import type { GgufTypedValue } from '../formats/gguf/index.ts'

/** A key with its typed value. */
export type MetadataEntry = readonly [string, GgufTypedValue]

export function u32(key: string, value: number): MetadataEntry {
  return [key, { type: 'u32', value }]
}

export function f32(key: string, value: number): MetadataEntry {
  return [key, { type: 'f32', value }]
}

export function bool(key: string, value: boolean): MetadataEntry {
  return [key, { type: 'bool', value }]
}

export function text(key: string, value: string): MetadataEntry {
  return [key, { type: 'string', value }]
}
