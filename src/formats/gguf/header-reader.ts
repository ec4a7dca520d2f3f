/**
 * Little-endian reading of a header whose length is not known beforehand.
 *
 * Entries are parsed synchronously from the bytes at hand. When those run out, the entry is dropped,
 * more of the file is fetched (twice as much each time) and the entry is parsed again, so that long
 * string arrays cost no await per string and tensor data is hardly touched.
 */
import { FormatError } from '../../errors.ts'
import type { ByteSource } from '../model-file.ts'
import { type GgufNumberType, numbersOf, VALUE_BYTES } from './value-types.ts'

/** First piece of a header that is read; it doubles until the header is whole. */
const FIRST_PIECE_BYTES = 1 << 20
/** A 262,144-piece vocabulary with its tokenizer.json takes about 50 MiB; the rest is room. */
const MAX_HEADER_BYTES = 256 << 20

/** Thrown inside an entry and caught by {@link HeaderReader.entry}; never seen outside. */
class MoreBytesNeeded {
  readonly end: number
  constructor(end: number) {
    this.end = end
  }
}

/** Keeps a byte order mark: U+FEFF is a token of real vocabularies. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Up to here characters are joined one by one, which is faster than a decoder call. */
const SHORT_STRING = 24

/** Reads entries one after the other; `field` names each for errors. */
export class HeaderReader {
  readonly #source: ByteSource
  #bytes = new Uint8Array(0)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  constructor(source: ByteSource) {
    this.#source = source
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#at
  }

  /** Bytes between here and the end of the file. */
  get bytesLeft(): number {
    return this.#source.size - this.#at
  }

  /** Runs `read` until all its bytes are there; it must have no effect but its result. */
  async entry<T>(read: () => T): Promise<T> {
    const start = this.#at
    for (;;) {
      try {
        return read()
      } catch (thrown) {
        if (!(thrown instanceof MoreBytesNeeded)) throw thrown
        this.#at = start
        await this.#fetch(thrown.end)
      }
    }
  }

  number(type: GgufNumberType, field: string): number {
    return numbersOf(type, this.bytes(VALUE_BYTES[type], field))[0]
  }

  u32(field: string): number {
    return this.number('u32', field)
  }

  integer64(type: 'u64' | 'i64', field: string): bigint {
    const at = this.#advance(8, field)
    return type === 'u64' ? this.#view.getBigUint64(at, true) : this.#view.getBigInt64(at, true)
  }

  /** An unsigned 64-bit count that must not exceed `limit`. */
  count(field: string, limit: number, what: string): number {
    const at = this.#advance(8, field)
    const high = this.#view.getUint32(at + 4, true)
    const value = high * 2 ** 32 + this.#view.getUint32(at, true)
    if (value > limit) {
      const shown = high > 0x1fffff ? this.#view.getBigUint64(at, true) : value
      throw this.error(field, `Expected at most ${limit} ${what}, got ${shown}.`)
    }
    return value
  }

  /** A length-prefixed string; bytes that are not UTF-8 become U+FFFD. */
  string(field: string, maxBytes: number): string {
    const length = this.count(field, maxBytes, 'bytes in a string')
    const at = this.#advance(length, field)
    const bytes = this.#bytes
    if (length <= SHORT_STRING) {
      let text = ''
      let i = at
      for (const end = at + length; i < end && bytes[i] < 0x80; i++) {
        text += String.fromCharCode(bytes[i])
      }
      if (i === at + length) return text
    }
    return decoder.decode(bytes.subarray(at, at + length))
  }

  /** The next `length` bytes, not to be changed. */
  bytes(length: number, field: string): Uint8Array {
    const at = this.#advance(length, field)
    return this.#bytes.subarray(at, at + length)
  }

  error(field: string, message: string): FormatError {
    return new FormatError(
      `${message} The GGUF header of ${this.#source.name} is damaged at "${field}"; ` +
        'fetch or convert the file again.',
      { field, path: this.#source.name },
    )
  }

  #advance(length: number, field: string): number {
    const at = this.#at
    const end = at + length
    if (end > this.#bytes.length) {
      if (end > this.#source.size) {
        throw this.error(
          field,
          `Expected ${length} more bytes at byte ${at}, but the file ends at ${this.#source.size}.`,
        )
      }
      if (end > MAX_HEADER_BYTES) {
        throw this.error(field, `Expected a header of at most ${MAX_HEADER_BYTES} bytes.`)
      }
      throw new MoreBytesNeeded(end)
    }
    this.#at = end
    return at
  }

  async #fetch(end: number): Promise<void> {
    const have = this.#bytes.length
    const wanted = Math.max(end, 2 * have, FIRST_PIECE_BYTES)
    const size = Math.min(wanted, this.#source.size, MAX_HEADER_BYTES)
    const more = await this.#source.read(have, size - have)
    const bytes = new Uint8Array(size)
    bytes.set(this.#bytes)
    bytes.set(more, have)
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }
}
