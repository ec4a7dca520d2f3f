/**
 * A growing little-endian buffer for the header of a GGUF file.
 */
import {
  bytesOf,
  type GgufNumberType,
  type GgufTypedValue,
  type GgufValueType,
  VALUE_TYPES,
} from './value-types.ts'

const encoder = new TextEncoder()

/** Puts values one after the other. */
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
    this.#numbers('u32', [value])
  }

  u64(value: number | bigint): void {
    // Room may be made in another buffer: the view is taken after that.
    const at = this.#advance(8)
    this.#view.setBigUint64(at, BigInt(value), true)
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
    else if (typed.type === 'bool') this.#numbers('u8', [Number(typed.value)])
    else if (typed.type === 'array') this.#array(typed)
    // What is below zero has the same bits in both.
    else if (typed.type === 'u64' || typed.type === 'i64') this.u64(typed.value)
    else this.#numbers(typed.type, [typed.value])
  }

  #array(typed: Extract<GgufTypedValue, { type: 'array' }>): void {
    this.type(typed.of)
    this.u64(typed.value.length)
    if (typed.of === 'string') {
      for (const text of typed.value) this.string(text)
    } else if (typed.of === 'bool') this.#numbers('u8', typed.value.map(Number))
    else this.#numbers(typed.of, typed.value)
  }

  #numbers(type: GgufNumberType, values: ArrayLike<number>): void {
    const bytes = bytesOf(type, values)
    const at = this.#advance(bytes.length)
    this.#bytes.set(bytes, at)
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
