/**
 * What each token id stands for, as bytes. All decoding goes through bytes: a character may be spread
 * over several tokens, and only a UTF-8 decoder over the joined bytes knows when it is whole.
 */
import { isWhole } from '../checks.ts'
import { alphabetToBytes } from './byte-alphabet.ts'

/** How a vocabulary writes its pieces. */
type PieceNotation =
  /** GPT-2's alphabet, one character per byte. */
  | 'byte-level'
  /** SentencePiece: U+2581 for a space; with `byteFallback`, `<0x0A>` for one byte. */
  | 'metaspace'

/** How pieces become text. */
export interface Decoding {
  readonly notation: PieceNotation
  readonly byteFallback: boolean
  /** Encoding puts a space in front of a text, which decoding takes away. */
  readonly dropLeadingSpace: boolean
}

export const BYTE_LEVEL: Decoding = {
  notation: 'byte-level',
  byteFallback: false,
  dropLeadingSpace: false,
}

/** SentencePiece's notation for one byte, in hexadecimal. */
export const BYTE_PIECE: RegExp = /^<0x([0-9A-Fa-f]{2})>$/

const BYTE_PIECES: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
})

/** The piece that stands for a byte. */
export function bytePiece(byte: number): string {
  return BYTE_PIECES[byte]
}

const encoder = new TextEncoder()
const REPLACEMENT = encoder.encode('\ufffd')

/**
 * A function that gives the bytes of a token, as its notation and its literal spelling have them; U+FFFD
 * for an id that the vocabulary lacks. They are not to be written to.
 *
 * @param pieces by id; ids without a piece are undefined
 * @param literal ids whose text is written as it reads, whatever the notation: added tokens
 */
export function bytesOfPieces(
  pieces: readonly (string | undefined)[],
  literal: ReadonlyMap<number, string>,
  { notation, byteFallback }: Decoding,
): (id: number) => Uint8Array {
  const read = (id: number): Uint8Array => {
    const text = literal.get(id)
    if (text !== undefined) return encoder.encode(text)
    const piece = pieces[id]
    if (piece === undefined) return REPLACEMENT
    if (notation === 'byte-level') return alphabetToBytes(piece) ?? encoder.encode(piece)
    const byte = byteFallback ? BYTE_PIECE.exec(piece) : null
    if (byte !== null) return Uint8Array.of(Number.parseInt(byte[1], 16))
    return encoder.encode(piece.replaceAll('\u2581', ' '))
  }
  // Filled as ids are met: most of a vocabulary is never shown.
  const known: Uint8Array[] = new Array(pieces.length)
  return (id) => {
    if (!isWhole(id, 0, pieces.length - 1)) return REPLACEMENT
    known[id] ??= read(id)
    return known[id]
  }
}
