/**
 * What is asked of values from outside before they are used, and how a message shows such a value.
 */
import { BackendError, UsageError } from './errors.ts'

/** A JSON object as parsed, before anybody has checked it. */
export type JsonObject = { readonly [key: string]: unknown }

/** Characters of a foreign value that a message repeats. */
const MAX_SHOWN = 80

/** True for what JSON calls an object: neither null nor a list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** True for a whole number from `min` to `max` that a float64 holds exactly. */
export function isWhole(
  value: unknown,
  min = 0,
  max: number = Number.MAX_SAFE_INTEGER,
): value is number {
  return Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max
}

/** @throws UsageError naming the option unless its value is a whole number from 1 to `max` */
export function checkCounting(name: string, value: unknown, max?: number): void {
  if (isWhole(value, 1, max)) return
  const range = max === undefined ? 'from 1 on' : `from 1 to ${max}`
  throw new UsageError(`Expected ${name} to be a whole number ${range}, got ${value}.`)
}

/** By its tag: frames and test environments have classes of their own. */
export function isA<T>(tag: string, value: unknown): value is T {
  return Object.prototype.toString.call(value) === `[object ${tag}]`
}

/** The same memory as bytes; undefined for what is no memory. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  }
  const isBuffer = isA<ArrayBuffer>('ArrayBuffer', value)
  return isBuffer || isA<ArrayBuffer>('SharedArrayBuffer', value)
    ? new Uint8Array(value)
    : undefined
}

/** An optional field is absent when it is missing or null. */
export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

/** A value from outside, short enough for a message. */
export function describe(value: unknown): string {
  if (isAbsent(value)) return 'nothing'
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object'
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text
}

/** What went wrong, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/**
 * What a model computed is checked before anything is made of it: NaN would count as an answer.
 *
 * @param what the numbers are, for the message
 * @throws BackendError naming the first one that is not finite
 */
export function checkFinite(what: string, values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) throw notComputed(`finite ${what}`, values[i])
  }
}

/** For numbers that no undamaged model gives. */
export function notComputed(expected: string, got: unknown): BackendError {
  return new BackendError(
    `Expected ${expected}, got ${got}. The model file may be damaged, or a kernel failed.`,
  )
}

/**
 * A number that a file keeps as float32, as it was meant: 1e-5 comes back as 0.00000999999974, and
 * seven digits bring it back.
 */
export function fromFloat32(value: number): number {
  return Number(value.toPrecision(7))
}

/** Without what is not set: a flag or a field that is absent is no value. */
export function withoutUnset<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> }
}
