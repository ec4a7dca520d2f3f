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
  /** As it reads. */
  | 'plain'

/** How pieces become text. */
export interface Decoding {
  readonly notation: PieceNotation
  readonly byteFallback: boolean
  /** Encoding puts a space in front of a text, which decoding takes away. */
  readonly dropLeadingSpace: boolean
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const REPLACEMENT = encoder.encode('\ufffd')
const BYTE_PIECE = /^<0x([0-9A-Fa-f]{2})>$/

/** The bytes of each token, as its notation and its literal spelling give them. */
export class PieceBytes {
  readonly #pieces: readonly (string | undefined)[]
  readonly #notation: PieceNotation
  readonly #byteFallback: boolean
  readonly #literal: ReadonlyMap<number, string>
  /** Filled as ids are met: most of a vocabulary is never shown. */
  readonly #bytes: Uint8Array[]

  /**
   * @param pieces by id; ids without a piece are undefined
   * @param literal ids whose text is written as it reads, whatever the notation: added tokens
   */
  constructor(
    pieces: readonly (string | undefined)[],
    literal: ReadonlyMap<number, string>,
    { notation, byteFallback }: Decoding,
  ) {
    this.#pieces = pieces
    this.#notation = notation
    this.#byteFallback = byteFallback
    this.#literal = literal
    this.#bytes = new Array(pieces.length)
  }

  /** One more than the highest id. */
  get size(): number {
    return this.#pieces.length
  }

  /** The piece as the vocabulary writes it. */
  piece(id: number): string | undefined {
    return this.#literal.get(id) ?? this.#pieces[id]
  }

  /** The bytes of a token; U+FFFD for an id that the vocabulary lacks. Not to be written to. */
  bytes(id: number): Uint8Array {
    if (!isWhole(id, 0, this.#pieces.length - 1)) return REPLACEMENT
    const known = this.#bytes[id]
    if (known !== undefined) return known
    const bytes = this.#read(id)
    this.#bytes[id] = bytes
    return bytes
  }

  text(id: number): string {
    return decoder.decode(this.bytes(id))
  }

  #read(id: number): Uint8Array {
    const literal = this.#literal.get(id)
    if (literal !== undefined) return encoder.encode(literal)
    const piece = this.#pieces[id]
    if (piece === undefined) return REPLACEMENT
    if (this.#notation === 'byte-level') return alphabetToBytes(piece) ?? encoder.encode(piece)
    if (this.#notation === 'plain') return encoder.encode(piece)
    const byte = this.#byteFallback ? BYTE_PIECE.exec(piece) : null
    if (byte !== null) return Uint8Array.of(Number.parseInt(byte[1], 16))
    return encoder.encode(piece.replaceAll('\u2581', ' '))
  }
}
