/** Where tokens to learn from lie: in memory, or in a file that is read piece by piece. */

/** What a text is made of for the trainer: ids, and whether each is to be learnt. */
export interface TokenSource {
  /** For messages: a path or a name. */
  readonly name: string
  /** Words in it. */
  readonly count: number
  /** Words [first, first + count), each an id and perhaps {@link NOT_LEARNT}. */
  read(first: number, count: number): Int32Array | Promise<Int32Array>
}

/** Added to an id that is there for what follows it only: a question, in a conversation. */
export const NOT_LEARNT: number = 2 ** 30

export function idOf(word: number): number {
  return word & (NOT_LEARNT - 1)
}

export function isLearnt(word: number): boolean {
  return word < NOT_LEARNT
}

export function memoryTokens(name: string, words: Int32Array): TokenSource {
  return { name, count: words.length, read: (first, count) => words.subarray(first, first + count) }
}
