/**
 * Ids to text, one at a time or all at once, by the same rules, so that what a stream emits, put
 * together, is what decoding all ids gives. Vocabularies of GGUF, SentencePiece and tiktoken go through
 * bytes: those of the tokens are joined and decoded as UTF-8, and bytes that are none become U+FFFD, as
 * the WHATWG decoder counts them.
 */
import { joinBytes } from '../formats/byte-sink.ts'
import { BYTE_PIECE } from './piece-bytes.ts'
import type { TokenStream } from './text-tokenizer.ts'

/** How ids become text. */
export interface IdDecoder {
  /** For the tokens of one text as they come; with `continues` others came before them. */
  open(continues: boolean): TokenStream
  /** All tokens of a text at once, as the stream has them. */
  decode(ids: ArrayLike<number>): string
  /** What a token adds within a text. */
  bytesOf(id: number): Uint8Array
}

const SPACE = 0x20

const newDecoder = () => new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * @param bytesOf a token's bytes in the finished text
 * @param dropLeadingSpace drop one space in front of the whole text: SentencePiece puts it there
 */
export function bytesDecoder(
  bytesOf: (id: number) => Uint8Array,
  dropLeadingSpace: boolean,
): IdDecoder {
  // Texts of tokens that are whole characters, which most are; filled as they are met.
  const texts = new Map<number, string | undefined>()
  const textOf = (id: number): string | undefined => {
    const known = texts.get(id)
    if (known !== undefined || texts.has(id)) return known
    const text = wholeText(bytesOf(id))
    texts.set(id, text)
    return text
  }
  return {
    bytesOf,
    open(continues) {
      const decoder = newDecoder()
      let atStart = dropLeadingSpace && !continues
      // Whether the decoder may have the beginning of a character.
      let isWithin = false
      return {
        push(id) {
          const text = textOf(id)
          if (text !== undefined && !isWithin && !atStart) return text
          let bytes = bytesOf(id)
          if (bytes.length === 0) return ''
          if (atStart && bytes[0] === SPACE) bytes = bytes.subarray(1)
          atStart = false
          isWithin = text === undefined
          return decoder.decode(bytes, { stream: true })
        },
        end: () => decoder.decode(),
      }
    },
    decode(ids) {
      const parts: Uint8Array[] = []
      for (let i = 0; i < ids.length; i++) parts.push(bytesOf(ids[i]))
      const bytes = joinBytes(parts)
      const start = dropLeadingSpace && bytes[0] === SPACE ? 1 : 0
      return newDecoder().decode(bytes.subarray(start))
    },
  }
}

const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })

/** @returns undefined where these are no whole characters */
function wholeText(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes)
  } catch {
    return undefined
  }
}

/**
 * @param open as a stream of pieces, for those who have only that
 * @param pieceOf a token in the notation of its model
 */
export function streamDecoder(
  open: (continues: boolean) => TokenStream,
  pieceOf: (id: number) => string,
): IdDecoder {
  return {
    open,
    bytesOf(id) {
      const alone = open(true)
      const text = alone.push(id) + alone.end()
      // A byte that is no character alone.
      const byte = text === '\ufffd' ? BYTE_PIECE.exec(pieceOf(id)) : null
      return byte === null
        ? new TextEncoder().encode(text)
        : Uint8Array.of(Number.parseInt(byte[1], 16))
    },
    decode(ids) {
      const stream = open(false)
      let text = ''
      for (let i = 0; i < ids.length; i++) text += stream.push(ids[i])
      return text + stream.end()
    },
  }
}

/** A stream that leaves out tokens that are not shown, and begins anew when it has ended. */
export function shownStream(
  decoder: IdDecoder,
  continues: boolean,
  isShown: (id: number) => boolean,
): TokenStream {
  let stream = decoder.open(continues)
  return {
    push: (id) => (isShown(id) ? stream.push(id) : ''),
    end() {
      const rest = stream.end()
      stream = decoder.open(continues)
      return rest
    },
  }
}
