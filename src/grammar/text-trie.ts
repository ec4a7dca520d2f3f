/** Texts by their bytes: which of them may still come. */

/** A text that may come, and how much of it has. */
interface Ending {
  /** The number of the text. */
  readonly index: number
  /** A character for each byte. */
  readonly text: string
  readonly from: number
}

export class TrieNode {
  /** All texts that may still come from here. */
  readonly endings: readonly Ending[]
  readonly id: number
  #children: Map<number, TrieNode> | undefined
  static #made = 0

  constructor(endings: readonly Ending[]) {
    this.endings = endings
    this.id = TrieNode.#made++
  }

  /** @param texts a character for each byte */
  static of(texts: readonly string[]): TrieNode {
    return new TrieNode(texts.map((text, index) => ({ index, text, from: 0 })))
  }

  /** The numbers of the texts that end here. */
  get ends(): readonly number[] {
    return this.endings.flatMap((one) => (isWhole(one) ? [one.index] : []))
  }

  get hasMore(): boolean {
    return !this.endings.every(isWhole)
  }

  child(byte: number): TrieNode | undefined {
    this.#children ??= this.#grow()
    return this.#children.get(byte)
  }

  #grow(): Map<number, TrieNode> {
    const byByte = new Map<number, Ending[]>()
    for (const ending of this.endings) {
      if (isWhole(ending)) continue
      const { index, text, from } = ending
      const byte = text.charCodeAt(from)
      const group = byByte.get(byte) ?? []
      group.push({ index, text, from: from + 1 })
      byByte.set(byte, group)
    }
    return new Map([...byByte].map(([byte, group]) => [byte, new TrieNode(group)]))
  }
}

function isWhole({ text, from }: Ending): boolean {
  return from === text.length
}
