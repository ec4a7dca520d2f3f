/**
 * The alphabet of byte-level BPE (GPT-2): each byte has one printable character, so that vocabularies
 * can be written as text. Bytes that print as themselves in Latin-1 keep their character; the other 68
 * take the characters from U+0100 on, in order.
 */

const isPrintable = (byte: number) =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae

/** The character of each byte. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : next++),
  )
})()

const BYTES: ReadonlyMap<string, number> = new Map(
  BYTE_CHARACTERS.map((character, byte) => [character, byte]),
)

const encoder = new TextEncoder()

/** One character per byte, as byte-level vocabularies write them. */
export function bytesToAlphabet(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += BYTE_CHARACTERS[byte]
  return text
}

/** The UTF-8 bytes of a text, one character each. */
export function textToAlphabet(text: string): string {
  return bytesToAlphabet(encoder.encode(text))
}

/** The bytes a piece stands for; undefined if it has a character outside the alphabet. */
export function alphabetToBytes(piece: string): Uint8Array | undefined {
  const bytes = new Uint8Array(piece.length)
  for (let i = 0; i < piece.length; i++) {
    const byte = BYTES.get(piece[i])
    if (byte === undefined) return undefined
    bytes[i] = byte
  }
  return bytes
}
