/**
 * Ids to text, one at a time or all at once, by the same rules: the bytes of the tokens are joined and
 * decoded as UTF-8, so that what a stream emits, put together, is what decoding all ids gives.
 * Bytes that are no UTF-8 become U+FFFD, as the WHATWG decoder counts them.
 */
import { joinBytes } from '../formats/byte-sink.ts'
import type { TokenStream } from './text-tokenizer.ts'

/** The bytes of a token in the finished text; none if it is not shown. */
export type TokenBytes = (id: number) => Uint8Array

interface StreamOptions {
  /** Drop one space in front of the whole text: SentencePiece puts it there while encoding. */
  readonly dropLeadingSpace: boolean
}

const SPACE = 0x20

/** A decoder for ids that come one at a time. */
export function createTokenStream(bytesOf: TokenBytes, options: StreamOptions): TokenStream {
  let decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let atStart = options.dropLeadingSpace
  return {
    push(id) {
      let bytes = bytesOf(id)
      if (bytes.length === 0) return ''
      if (atStart && bytes[0] === SPACE) bytes = bytes.subarray(1)
      atStart = false
      return decoder.decode(bytes, { stream: true })
    },
    end() {
      const rest = decoder.decode()
      decoder = new TextDecoder('utf-8', { ignoreBOM: true })
      atStart = options.dropLeadingSpace
      return rest
    },
  }
}

/** The text of all ids, as a stream of them gives it. */
export function decodeTokens(
  ids: ArrayLike<number>,
  bytesOf: TokenBytes,
  options: StreamOptions,
): string {
  const bytes = joinBytes(Array.from(ids, bytesOf))
  const start = options.dropLeadingSpace && bytes[0] === SPACE ? 1 : 0
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(start))
}
