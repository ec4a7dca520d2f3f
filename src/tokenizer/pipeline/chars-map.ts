/**
 * SentencePiece's compiled table of characters (precompiled_charsmap): which texts become which others, as a trie
 * in a double array behind its length, and the results, each ended by a zero. Tables come from files, so every
 * step through one is bounded by the table itself.
 */
import { FormatError } from '../../errors.ts'

/** nmt_nfkc has 220 kB; no table of single characters is larger than this. */
const MAX_BYTES = 16 << 20

/** Which texts a table changes; `bytes` are UTF-8. */
export interface CharsMap {
  /** The result for the shortest or the longest beginning at `at` that the table has; undefined if none. */
  find(
    bytes: Uint8Array,
    at: number,
    which: 'shortest' | 'longest',
  ): { readonly text: string; readonly length: number } | undefined
}

/** @throws FormatError naming `field` if the table is damaged */
export function readCharsMap(bytes: Uint8Array, field: string): CharsMap {
  const damaged = (why: string) =>
    new FormatError(
      `Expected ${field} to be a compiled table of characters, but ${why}. Fetch the file again.`,
      { field },
    )
  if (bytes.length < 8 || bytes.length > MAX_BYTES) throw damaged(`it has ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const trieBytes = view.getUint32(0, true)
  if (trieBytes === 0 || trieBytes % 4 !== 0 || trieBytes > bytes.length - 4) {
    throw damaged(`its trie has ${trieBytes} of ${bytes.length} bytes`)
  }
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => {
    return view.getUint32(4 + 4 * i, true)
  })
  const results = bytes.subarray(4 + trieBytes)
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const known = new Map<number, string>()

  const resultAt = (place: number): string => {
    let text = known.get(place)
    if (text !== undefined) return text
    const end = results.indexOf(0, place)
    if (place > results.length) throw damaged('a result lies outside of it')
    try {
      text = decoder.decode(results.subarray(place, end < 0 ? results.length : end))
    } catch {
      throw damaged('a result is no UTF-8')
    }
    known.set(place, text)
    return text
  }

  /** An entry has its label in the low byte, and where its children are, in units or in 256 units, above. */
  const childrenOf = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6)

  return {
    find(text, at, which) {
      let node = childrenOf(units[0])
      let found: { place: number; length: number } | undefined
      for (let i = at; i < text.length && text[i] !== 0; i++) {
        node ^= text[i]
        const unit = units[node]
        // Beyond the table there is nothing.
        if (unit === undefined || (unit & 0x800000ff) >>> 0 !== text[i]) break
        node ^= childrenOf(unit)
        if ((unit & 0x100) === 0) continue
        const leaf = units[node]
        if (leaf === undefined) throw damaged('an entry of its trie lies outside of it')
        found = { place: leaf & 0x7fffffff, length: i + 1 - at }
        if (which === 'shortest') break
      }
      return found && { text: resultAt(found.place), length: found.length }
    },
  }
}

const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' })
const utf8 = new TextEncoder()
/** Longer clusters are looked up character by character only. */
const MAX_CLUSTER_BYTES = 5

/**
 * A table as the Rust library applies it: a short grapheme cluster becomes what its shortest known beginning
 * becomes, and else each of its characters does.
 */
export function clusterMapper(map: CharsMap): (text: string) => string {
  const replaced = (piece: string): string | undefined =>
    map.find(utf8.encode(piece), 0, 'shortest')?.text
  const characters = new Map<string, string>()
  const ofCharacter = (character: string): string => {
    let text = characters.get(character)
    if (text === undefined) {
      text = replaced(character) ?? character
      if (characters.size < MAX_KNOWN) characters.set(character, text)
    }
    return text
  }
  const ofCluster = (cluster: string): string => {
    const isShort = cluster.length < 6 && utf8.encode(cluster).length <= MAX_CLUSTER_BYTES
    const whole = isShort ? replaced(cluster) : undefined
    return whole ?? Array.from(cluster, ofCharacter).join('')
  }
  return (text) => {
    let out = ''
    for (const [i, part] of text.split(PLAIN).entries()) {
      if (i % 2 === 1) out += Array.from(part, ofCharacter).join('')
      else for (const { segment } of graphemes.segment(part)) out += ofCluster(segment)
    }
    return out
  }
}

const MAX_KNOWN = 1 << 16
/** Printable ASCII between more of it: each of its characters is a cluster of its own. */
const PLAIN = /((?<=^|[ -~])[ -~]+(?=[ -~]))/

/**
 * A text as SentencePiece changes it: from left to right, the longest beginning that the table knows. What was
 * kept and what a table gave stay apart.
 */
export function longestPieces(map: CharsMap): (text: string) => Generator<MappedPiece> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return function* (text) {
    const bytes = utf8.encode(text)
    let kept = 0
    for (let at = 0; at < bytes.length; ) {
      const found = map.find(bytes, at, 'longest')
      if (found === undefined) {
        at += lengthOfCharacter(bytes[at])
        continue
      }
      if (at > kept) yield { text: decoder.decode(bytes.subarray(kept, at)), isMapped: false }
      yield { text: found.text, isMapped: true }
      at += found.length
      kept = at
    }
    if (kept < bytes.length) yield { text: decoder.decode(bytes.subarray(kept)), isMapped: false }
  }
}

export interface MappedPiece {
  readonly text: string
  readonly isMapped: boolean
}

/** By its first byte. */
function lengthOfCharacter(first: number): number {
  if (first < 0x80) return 1
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
}
