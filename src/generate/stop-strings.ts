/**
 * Finds stop strings in text that comes in pieces. Text that may be the beginning of a stop string is
 * held back until that is decided, so that no part of a stop string is ever emitted.
 *
 * The answer does not depend on how the text is cut: the stop string that is complete first ends the
 * text, and of those complete at the same character the longest counts.
 *
 * Special tokens are no part of the text, but may be a part of a stop string: their names are pushed as
 * hidden pieces, which are looked at and not given back.
 */
import type { TextTokenizer } from '../tokenizer/text-tokenizer.ts'

export class StopStrings {
  readonly #stops: readonly string[]
  /** The end of the text so far that is a beginning of some stop string, and which of its units are hidden. */
  #held = ''
  #hidden: readonly boolean[] = []
  /** True once a stop string has been found; nothing is emitted any more. */
  stopped = false

  /** @param stops none of them empty */
  constructor(stops: readonly string[]) {
    this.#stops = stops
  }

  /** Takes the next piece and returns the text that is certain now. */
  push(piece: string, isHidden = false): string {
    if (this.stopped) return ''
    if (this.#stops.length === 0) return isHidden ? '' : piece
    const text = this.#held + piece
    const hidden = [...this.#hidden, ...Array<boolean>(piece.length).fill(isHidden)]
    const cut = this.#findStop(text)
    this.stopped = cut >= 0
    const certain = this.stopped ? cut : text.length - this.#openLength(text)
    this.#held = this.stopped ? '' : text.slice(certain)
    this.#hidden = this.stopped ? [] : hidden.slice(certain)
    return shown(text.slice(0, certain), hidden)
  }

  /** What was held back, now that no more text comes. */
  end(): string {
    const rest = shown(this.#held, this.#hidden)
    this.#held = ''
    this.#hidden = []
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

function shown(text: string, hidden: readonly boolean[]): string {
  if (!hidden.includes(true)) return text
  return Array.from({ length: text.length }, (_, i) => (hidden[i] ? '' : text[i])).join('')
}

/** The tokens that a text does not show, of those that the stop strings name. */
export function specialsIn(
  stops: readonly string[],
  tokenizer: TextTokenizer,
): Map<number, string> {
  const specials = new Map<number, string>()
  for (const stop of stops) {
    for (const id of tokenizer.encode(stop, { addBos: false, parseSpecial: true })) {
      const name = tokenizer.decode([id], { skipSpecial: false })
      const isHidden = tokenizer.decode([id]) === '' && name !== ''
      if (isHidden && stop.includes(name)) specials.set(id, name)
    }
  }
  return specials
}
