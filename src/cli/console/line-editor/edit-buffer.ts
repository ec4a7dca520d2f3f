/**
 * A text that is being edited, of one line or more, and the place of its cursor. Steps are characters
 * as people see them (grapheme clusters, UAX #29), and words as the language has them.
 */

import { cleanText } from '../clean-text.ts'

/** More is no message: the longest contexts hold less. */
const MAX_LENGTH = 1_000_000

const CHARACTERS = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
const WORDS = new Intl.Segmenter(undefined, { granularity: 'word' })

/** The characters of a text. */
export function charactersOf(text: string): string[] {
  // Most lines that people paste are ASCII, where every unit is a character.
  return /^[ -~]*$/.test(text)
    ? text.split('')
    : Array.from(CHARACTERS.segment(text), ({ segment }) => segment)
}

export class EditBuffer {
  #text = ''
  #cursor = 0
  /** What was deleted last, to be put back. */
  #deleted = ''

  get text(): string {
    return this.#text
  }

  /** An index into the text; never within a character. */
  get cursor(): number {
    return this.#cursor
  }

  get before(): string {
    return this.#text.slice(0, this.#cursor)
  }

  /** Replaces all, with the cursor behind it. */
  set(text: string): void {
    this.#text = text
    this.#cursor = text.length
  }

  /** The cursor comes to the end of the character that `index` is in. */
  moveTo(index: number): void {
    const { start, text } = this.#line(index)
    let end = start
    for (const character of charactersOf(text)) {
      if (end >= index) break
      end += character.length
    }
    this.#cursor = end
  }

  /** @returns false if there is no room for it */
  insert(text: string): boolean {
    const clean = cleanText(text)
    if (this.#text.length + clean.length > MAX_LENGTH) return false
    const index = this.#cursor + clean.length
    this.#text = this.before + clean + this.#text.slice(this.#cursor)
    // A mark or a joiner makes one character of what was two.
    this.moveTo(index)
    return true
  }

  moveBy(direction: -1 | 1): void {
    this.#cursor = this.#step(direction)
  }

  moveByWord(direction: -1 | 1): void {
    this.#cursor = this.#wordStep(direction)
  }

  moveToLineStart(): void {
    this.#cursor = this.#line().start
  }

  moveToLineEnd(): void {
    this.#cursor = this.#line().end
  }

  deleteBy(direction: -1 | 1): void {
    this.#deleteTo(this.#step(direction))
  }

  deleteByWord(direction: -1 | 1): void {
    this.#deleted = this.#deleteTo(this.#wordStep(direction))
  }

  /** To the start or the end of the line; if it is there, the line end itself. */
  deleteToLineEdge(direction: -1 | 1): void {
    const { start, end } = this.#line()
    const edge = direction < 0 ? start : end
    this.#deleted = this.#deleteTo(edge === this.#cursor ? this.#step(direction) : edge)
  }

  putBack(): void {
    this.insert(this.#deleted)
  }

  #deleteTo(index: number): string {
    const from = Math.min(index, this.#cursor)
    const to = Math.max(index, this.#cursor)
    const deleted = this.#text.slice(from, to)
    this.#text = this.#text.slice(0, from) + this.#text.slice(to)
    this.moveTo(from)
    return deleted
  }

  /** The line that an index is in. No character goes beyond a line's end. */
  #line(index = this.#cursor): { start: number; end: number; text: string } {
    const start = index === 0 ? 0 : this.#text.lastIndexOf('\n', index - 1) + 1
    const found = this.#text.indexOf('\n', index)
    const end = found < 0 ? this.#text.length : found
    return { start, end, text: this.#text.slice(start, end) }
  }

  #step(direction: -1 | 1): number {
    const { start, end } = this.#line()
    if (direction > 0) {
      if (this.#cursor === end) return Math.min(end + 1, this.#text.length)
      return this.#cursor + charactersOf(this.#text.slice(this.#cursor, end))[0].length
    }
    if (this.#cursor === start) return Math.max(0, start - 1)
    const last = charactersOf(this.#text.slice(start, this.#cursor)).at(-1) as string
    return this.#cursor - last.length
  }

  #wordStep(direction: -1 | 1): number {
    const { start, end, text } = this.#line()
    if (this.#cursor === (direction > 0 ? end : start)) return this.#step(direction)
    const words = [...WORDS.segment(text)].filter(({ isWordLike }) => isWordLike)
    const edges = words.map(({ index, segment }) =>
      direction > 0 ? start + index + segment.length : start + index,
    )
    return direction > 0
      ? (edges.find((edge) => edge > this.#cursor) ?? end)
      : (edges.findLast((edge) => edge < this.#cursor) ?? start)
  }
}
