/**
 * Finds stop strings in text that comes in pieces. Text that may be the beginning of a stop string is
 * held back until that is decided, so that no part of a stop string is ever emitted.
 *
 * The answer does not depend on how the text is cut: the stop string that is complete first ends the
 * text, and of those complete at the same character the longest counts.
 */

export class StopStrings {
  readonly #stops: readonly string[]
  /** The end of the text so far that is a beginning of some stop string. */
  #held = ''
  /** True once a stop string has been found; nothing is emitted any more. */
  stopped = false

  /** @param stops none of them empty */
  constructor(stops: readonly string[]) {
    this.#stops = stops
  }

  /** Takes the next piece and returns the text that is certain now. */
  push(piece: string): string {
    if (this.stopped) return ''
    if (this.#stops.length === 0) return piece
    const text = this.#held + piece
    const cut = this.#findStop(text)
    if (cut >= 0) {
      this.stopped = true
      this.#held = ''
      return text.slice(0, cut)
    }
    const certain = text.length - this.#openLength(text)
    this.#held = text.slice(certain)
    return text.slice(0, certain)
  }

  /** What was held back, now that no more text comes. */
  end(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }

  /** Where the stop string begins that is complete first, or -1. */
  #findStop(text: string): number {
    let begin = -1
    let end = text.length + 1
    for (const stop of this.#stops) {
      const at = text.indexOf(stop)
      if (at < 0 || at + stop.length > end) continue
      if (at + stop.length < end || at < begin) begin = at
      end = at + stop.length
    }
    return begin
  }

  /** Length of the longest end of `text` with which a stop string could begin. */
  #openLength(text: string): number {
    let open = 0
    for (const stop of this.#stops) {
      for (let n = Math.min(stop.length - 1, text.length); n > open; n--) {
        if (text.endsWith(stop.slice(0, n))) {
          open = n
          break
        }
      }
    }
    return open
  }
}
