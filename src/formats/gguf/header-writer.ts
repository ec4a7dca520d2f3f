/**
 * A growing little-endian buffer for the header of a GGUF file.
 */
import { type GgufValueType, VALUE_BYTES, VALUE_TYPES } from './metadata.ts'

const encoder = new TextEncoder()

type IntegerType = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32'
type FloatType = 'f32' | 'f64'

/** A metadata value with the type it is stored as. */
export type GgufTypedValue =
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: IntegerType | FloatType; readonly value: number }
  | { readonly type: 'u64'; readonly value: number | bigint }
  | { readonly type: 'i64'; readonly value: number | bigint }
  | { readonly type: 'array'; readonly of: 'string'; readonly value: readonly string[] }
  | { readonly type: 'array'; readonly of: 'bool'; readonly value: readonly boolean[] }
  | {
      readonly type: 'array'
      readonly of: IntegerType | FloatType
      readonly value: ArrayLike<number>
    }

export class HeaderWriter {
  #bytes = new Uint8Array(1 << 16)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  get length(): number {
    return this.#at
  }

  /** What was written; valid until the next call. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#at)
  }

  u32(value: number): void {
    this.#view.setUint32(this.#advance(4), value, true)
  }

  u64(value: number | bigint): void {
    this.#view.setBigUint64(this.#advance(8), BigInt(value), true)
  }

  string(text: string): void {
    // UTF-8 takes at most three bytes a UTF-16 unit.
    const start = this.#advance(8 + 3 * text.length)
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(start + 8))
    this.#view.setBigUint64(start, BigInt(written), true)
    this.#at = start + 8 + written
  }

  zeros(count: number): void {
    const at = this.#advance(count)
    this.#bytes.fill(0, at, at + count)
  }

  type(type: GgufValueType): void {
    this.u32(VALUE_TYPES.indexOf(type))
  }

  value(typed: GgufTypedValue): void {
    if (typed.type === 'string') this.string(typed.value)
    else if (typed.type === 'bool') this.#number('u8', typed.value ? 1 : 0)
    else if (typed.type === 'array') this.#array(typed)
    else if (typed.type === 'u64') this.u64(typed.value)
    else if (typed.type === 'i64') {
      this.#view.setBigInt64(this.#advance(8), BigInt(typed.value), true)
    } else this.#number(typed.type, typed.value)
  }

  #array(typed: Extract<GgufTypedValue, { type: 'array' }>): void {
    this.type(typed.of)
    this.u64(typed.value.length)
    if (typed.of === 'string') {
      for (const text of typed.value) this.string(text)
    } else if (typed.of === 'bool') {
      for (const flag of typed.value) this.#number('u8', flag ? 1 : 0)
    } else {
      for (let i = 0; i < typed.value.length; i++) this.#number(typed.of, typed.value[i])
    }
  }

  #number(type: IntegerType | FloatType, value: number): void {
    const at = this.#advance(VALUE_BYTES[type])
    if (type === 'u8') this.#view.setUint8(at, value)
    else if (type === 'i8') this.#view.setInt8(at, value)
    else if (type === 'u16') this.#view.setUint16(at, value, true)
    else if (type === 'i16') this.#view.setInt16(at, value, true)
    else if (type === 'u32') this.#view.setUint32(at, value, true)
    else if (type === 'i32') this.#view.setInt32(at, value, true)
    else if (type === 'f32') this.#view.setFloat32(at, value, true)
    else this.#view.setFloat64(at, value, true)
  }

  #advance(length: number): number {
    const at = this.#at
    const end = at + length
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length))
      grown.set(this.#bytes.subarray(0, at))
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    this.#at = end
    return at
  }
}
