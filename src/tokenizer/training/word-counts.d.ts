/** How often each word comes in texts. Equal texts and limits give equal tables, in the order of first coming. */

/** A table as it goes from one thread to another: word i is `characters` from where word i - 1 ended. */
export interface CountedWords {
  /** UTF-16. */
  readonly characters: Uint16Array<ArrayBuffer>
  readonly ends: Uint32Array<ArrayBuffer>
  readonly hashes: Int32Array<ArrayBuffer>
  readonly counts: Float64Array<ArrayBuffer>
}

export declare class WordCounts {
  /** Words in the table. */
  get size(): number

  /**
   * Counts the words of a text, as SCRIPTS_SPLIT has them; runs without a border are cut behind 256 code units.
   *
   * @param units UTF-16, the text from `start` to `size`
   */
  addText(units: Uint16Array, start: number, size: number): void

  /** Adds what was counted elsewhere, each time as `weight`. */
  addCounted(counted: CountedWords, weight: number): void

  /** Drops all but the `limit` words that came most often; of equals, those that came first. */
  keepMost(limit: number): void

  /** What the table holds, and empties it. */
  take(): CountedWords
}
