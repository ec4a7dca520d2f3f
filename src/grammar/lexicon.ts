/**
 * A vocabulary as grammars look at it: its tokens in the order of their bytes, so that those with a common
 * beginning are looked at once; which of them are nothing but plain characters; and how few tokens write a text.
 */

/** Tokens in the order of their bytes. */
export interface SortedTokens {
  readonly ids: Int32Array
  /** All bytes, one token behind the other; token i has those from `starts[i]` to `starts[i + 1]`. */
  readonly bytes: Uint8Array
  readonly starts: Int32Array
  /** How many bytes a token has in common with the one before it. */
  readonly shared: Int32Array
  readonly longest: number
}

/** A token of whole characters that a JSON text may have as they are. */
interface PlainToken {
  readonly id: number
  readonly characters: number
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
  readonly all: SortedTokens
  /** Those of them that are not plain characters. */
  readonly special: SortedTokens
  /** All tokens, and by a number those of more characters, parts of them included. */
  readonly #tokens: readonly Token[]
  readonly #longer = new Map<number, SortedTokens>()
  readonly #longestCharacters: number
  readonly #plain: readonly PlainToken[]
  /** Masks of plain tokens of at most so many characters. */
  readonly #plainMasks = new Map<number, Uint32Array>()
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
    const plain: PlainToken[] = []
    const special: Token[] = []
    for (const token of tokens) {
      const characters = plainCharacters(token.bytes)
      if (characters === undefined) special.push(token)
      else plain.push({ id: token.id, characters })
    }
    this.#plain = plain
    this.#longestPlain = plain.reduce((most, { characters }) => Math.max(most, characters), 0)
    this.#known = new Set(tokens.map(({ text }) => text))
    this.#tokens = tokens
    this.#longestCharacters = tokens.reduce((most, own) => Math.max(most, charactersOf(own)), 0)
    this.all = sorted(tokens)
    this.special = sorted(special)
  }

  /** A mask of all plain tokens of at most so many characters. */
  plainMask(characters: number): Uint32Array {
    const most = Math.min(characters, this.#longestPlain)
    let mask = this.#plainMasks.get(most)
    if (mask === undefined) {
      mask = new Uint32Array(this.maskWords)
      for (const one of this.#plain) if (one.characters <= most) allow(mask, one.id)
      this.#plainMasks.set(most, mask)
    }
    return mask
  }

  /** Tokens that may have more characters than that. */
  longer(characters: number): SortedTokens {
    const least = Math.min(characters, this.#longestCharacters)
    let longer = this.#longer.get(least)
    if (longer === undefined) {
      longer = sorted(this.#tokens.filter((own) => charactersOf(own) > least))
      this.#longer.set(least, longer)
    }
    return longer
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

function sorted(tokens: readonly Token[]): SortedTokens {
  const starts = new Int32Array(tokens.length + 1)
  const shared = new Int32Array(tokens.length)
  let longest = 0
  for (const [i, { bytes }] of tokens.entries()) {
    starts[i + 1] = starts[i] + bytes.length
    longest = Math.max(longest, bytes.length)
    const before = i === 0 ? '' : tokens[i - 1].text
    const { text } = tokens[i]
    while (shared[i] < before.length && before[shared[i]] === text[shared[i]]) shared[i]++
  }
  const bytes = new Uint8Array(starts[tokens.length])
  for (const [i, token] of tokens.entries()) bytes.set(token.bytes, starts[i])
  return { ids: Int32Array.from(tokens, ({ id }) => id), bytes, starts, shared, longest }
}

/** Those that begin in a token, and one that began before it. */
function charactersOf({ bytes }: Token): number {
  return 1 + bytes.filter((byte) => byte >> 6 !== 2).length
}

export function forbid(mask: Uint32Array, id: number): void {
  mask[id >> 5] &= ~(1 << (id & 31))
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

/** How many characters these are; undefined unless they are whole and need no escape in a JSON text. */
function plainCharacters(bytes: Uint8Array): number | undefined {
  if (bytes.some((byte) => byte < 0x20 || byte === 0x22 || byte === 0x5c)) return undefined
  try {
    let count = 0
    for (const _ of utf8.decode(bytes)) count++
    return count
  } catch {
    return undefined
  }
}
