/**
 * A vocabulary as grammars look at it: its tokens as a tree, so that those with a common beginning are looked at
 * once; which of them are nothing but plain characters; and how few tokens write a text.
 */

/** Tokens by their bytes, as a tree: its nodes one behind the other, each followed by those below it. */
export interface TokenTree {
  /** The last byte of each node, and how many there are before it. */
  readonly bytes: Uint8Array
  readonly depths: Int32Array
  /** The node behind all that are below a node. */
  readonly ends: Int32Array
  /** The tokens of node i are those from `starts[i]` to `starts[i + 1]` of `ids`. */
  readonly starts: Int32Array
  readonly ids: Int32Array
  readonly longest: number
}

/** A token of characters that a JSON text may have as they are. */
interface PlainToken {
  readonly id: number
  /** The one that it has the beginning of included. */
  readonly characters: number
  /** Bytes that are missing of its last character. */
  readonly missing: number
}

/** Texts whose costs are remembered. */
const MOST_COSTS = 4096

export class Lexicon {
  /** What a token adds to a text. */
  readonly bytesOf: (id: number) => Uint8Array
  /** The words of a mask. */
  readonly maskWords: number
  /** Tokens that end an answer. */
  readonly stopIds: readonly number[]
  readonly all: TokenTree
  /** Those of them that are not plain characters. */
  readonly special: TokenTree
  /** The most bytes of one that a JSON text may begin with: without control characters. */
  readonly longestSpecial: number
  /** Plain ones with the beginning of a character at their ends, and the most bytes that are missing there. */
  readonly cut: TokenTree
  readonly mostMissing: number
  readonly #plain: readonly PlainToken[]
  /** Masks of plain tokens by the bytes that may be missing of them, and by their characters. */
  readonly #plainMasks: Map<number, Uint32Array>[] = []
  readonly #longestPlain: number
  readonly #costs = new Map<string, readonly number[]>()
  /** The most bytes of a token that begins with a byte. */
  readonly #longestFrom = new Uint32Array(256)
  readonly #known: ReadonlySet<string>

  /**
   * @param vocabSize how many ids there are, those without bytes included
   * @param bytesOf what a token adds to a text; nothing for tokens that must not come
   */
  constructor(vocabSize: number, bytesOf: (id: number) => Uint8Array, stopIds: readonly number[]) {
    this.maskWords = Math.ceil(vocabSize / 32)
    this.bytesOf = bytesOf
    this.stopIds = stopIds
    const tokens: Token[] = []
    for (let id = 0; id < vocabSize; id++) {
      if (stopIds.includes(id)) continue
      const bytes = bytesOf(id)
      if (bytes.length > 0) tokens.push({ id, bytes, text: latin1Of(bytes) })
    }
    tokens.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : a.id - b.id))
    for (const { bytes } of tokens) {
      this.#longestFrom[bytes[0]] = Math.max(this.#longestFrom[bytes[0]], bytes.length)
    }
    this.#known = new Set(tokens.map(({ text }) => text))
    const hasBytes = this.cost('\x80') === 1
    const plain: PlainToken[] = []
    const special: Token[] = []
    const cut: Token[] = []
    for (const token of tokens) {
      const read = plainCharacters(token.bytes)
      if (read === undefined || (read.missing > 0 && !hasBytes)) special.push(token)
      else plain.push({ id: token.id, ...read })
      if (hasBytes && read !== undefined && read.missing > 0) cut.push(token)
    }
    this.#plain = plain
    this.#longestPlain = plain.reduce((most, { characters }) => Math.max(most, characters), 0)
    this.mostMissing = plain.reduce((most, { missing }) => Math.max(most, missing), 0)
    this.all = treeOf(tokens)
    this.special = treeOf(special)
    const texts = special.filter(({ bytes }) => bytes.every((byte) => byte >= 0x20))
    this.longestSpecial = texts.reduce((most, { bytes }) => Math.max(most, bytes.length), 0)
    this.cut = treeOf(cut)
  }

  /**
   * A mask of all plain tokens of at most so many characters.
   *
   * @param missing the most bytes that may be missing of a token that is cut within a character
   */
  plainMask(characters: number, missing: number): Uint32Array {
    const most = Math.min(characters, this.#longestPlain)
    this.#plainMasks[missing] ??= new Map()
    const masks = this.#plainMasks[missing]
    let mask = masks.get(most)
    if (mask === undefined) {
      mask = new Uint32Array(this.maskWords)
      for (const token of this.#plain) {
        if (token.characters <= most && token.missing <= missing) allow(mask, token.id)
      }
      masks.set(most, mask)
    }
    return mask
  }

  /**
   * How few tokens write these bytes; infinite if none can.
   *
   * @param text a character for each byte
   * @param from where what is left of it begins
   */
  cost(text: string, from = 0): number {
    const known = this.#costs.get(text)
    if (known !== undefined) return known[from]
    // From the end: what the rest of the text costs.
    const costs = new Array<number>(text.length + 1).fill(Number.POSITIVE_INFINITY)
    costs[text.length] = 0
    for (let at = text.length - 1; at >= 0; at--) {
      const end = Math.min(text.length, at + this.#longestFrom[text.charCodeAt(at)])
      for (let to = at + 1; to <= end; to++) {
        if (costs[to] + 1 < costs[at] && this.#known.has(text.slice(at, to)))
          costs[at] = costs[to] + 1
      }
    }
    if (this.#costs.size >= MOST_COSTS) this.#costs.clear()
    this.#costs.set(text, costs)
    return costs[from]
  }
}

interface Token {
  readonly id: number
  readonly bytes: Uint8Array
  readonly text: string
}

/** @param tokens in the order of their bytes */
function treeOf(tokens: readonly Token[]): TokenTree {
  const bytes: number[] = []
  const depths: number[] = []
  const starts: number[] = []
  /** The nodes that lead to the last one. */
  const path: number[] = []
  const ends: number[] = []
  const leave = (depth: number): void => {
    for (const node of path.splice(depth)) ends[node] = bytes.length
  }
  let before = ''
  let longest = 0
  for (const [i, token] of tokens.entries()) {
    let shared = 0
    while (shared < before.length && before[shared] === token.text[shared]) shared++
    leave(shared)
    for (let depth = shared; depth < token.bytes.length; depth++) {
      path.push(bytes.length)
      bytes.push(token.bytes[depth])
      depths.push(depth)
      starts.push(i)
    }
    before = token.text
    longest = Math.max(longest, token.bytes.length)
  }
  leave(0)
  starts.push(tokens.length)
  return {
    bytes: Uint8Array.from(bytes),
    depths: Int32Array.from(depths),
    ends: Int32Array.from(ends),
    starts: Int32Array.from(starts),
    ids: Int32Array.from(tokens, ({ id }) => id),
    longest,
  }
}

export function allow(mask: Uint32Array, id: number): void {
  mask[id >> 5] |= 1 << (id & 31)
}

/** A character for each byte, so that bytes can be compared and looked up as texts. */
export function latin1Of(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** How many characters these are, as far as they go; undefined where one needs an escape in a JSON text, or is none. */
function plainCharacters(bytes: Uint8Array): Omit<PlainToken, 'id'> | undefined {
  if (bytes.some((byte) => byte < 0x20 || byte === 0x22 || byte === 0x5c)) return undefined
  const missing = missingOf(bytes)
  // Whether there is a character that begins so shows with the least or the greatest bytes that may follow.
  for (const byte of [0x80, 0xbf]) {
    const whole = new Uint8Array(bytes.length + missing).fill(byte)
    whole.set(bytes)
    const characters = countOf(whole)
    if (characters !== undefined) return { characters, missing }
  }
  return undefined
}

/** @returns undefined where these are no characters */
function countOf(bytes: Uint8Array): number | undefined {
  try {
    let count = 0
    for (const _ of utf8.decode(bytes)) count++
    return count
  } catch {
    return undefined
  }
}

/** Bytes that are missing of a character at the end. */
function missingOf(bytes: Uint8Array): number {
  for (let behind = 1; behind <= Math.min(3, bytes.length); behind++) {
    const byte = bytes[bytes.length - behind]
    if (byte >> 6 === 2) continue
    const length = byte < 0xc2 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
    return Math.max(0, length - behind)
  }
  return 0
}
