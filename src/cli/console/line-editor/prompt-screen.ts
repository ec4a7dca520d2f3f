/**
 * Draws a prompt and the text behind it, and puts the cursor where it belongs. Everything is drawn anew
 * after every chunk of keys, in one write; nothing above the prompt is touched.
 */
import type { OutputStream } from '../surroundings.ts'
import { wrapText } from '../wrap.ts'
import { layOut, placeOf, type Row, rowsAfterReflow, shownBefore } from './text-layout.ts'

const CLEAR_BELOW = '\u001b[J'
const CLEAR_SCREEN = '\u001b[H\u001b[2J'

/** Of terminals that do not tell their size. */
const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24

export class PromptScreen {
  readonly #output: OutputStream
  /** Rows on the screen, from the prompt's or the first that fits; none while nothing is shown. */
  #drawn: readonly Row[] = []
  /** The one of them that the cursor is in. */
  #cursorRow = 0
  /** The first row that is shown of a text with more rows than the screen. */
  #top = 0

  constructor(output: OutputStream) {
    this.#output = output
  }

  get columns(): number {
    return this.#output.columns || DEFAULT_COLUMNS
  }

  draw(text: string, cursor: number, prompt: string): void {
    const rows = layOut(text, this.columns, prompt)
    const { row } = placeOf(rows, cursor)
    const height = this.#output.rows || DEFAULT_ROWS
    // As much as is needed, and no more, for the cursor to be seen.
    this.#top = Math.max(0, Math.min(this.#top, row, rows.length - height), row - height + 1)
    const shown = rows.slice(this.#top, this.#top + height)
    const cursorRow = row - this.#top
    const up = shown.length - 1 - cursorRow
    // Writing what is before the cursor once more puts it there, however wide the terminal takes a
    // character to be.
    const back = `${up > 0 ? `\u001b[${up}A` : ''}\r${shownBefore(rows[row], cursor)}`
    const isAtEnd = up === 0 && cursor === text.length
    this.#output.write(this.#toTop() + textOf(shown) + (isAtEnd ? '' : back))
    this.#drawn = shown
    this.#cursorRow = cursorRow
  }

  /** Draws all of a text for the last time; what comes next is below it. */
  finish(text: string, prompt: string, mark = ''): void {
    const rows = layOut(text, this.columns, prompt)
    this.#output.write(`${this.#toTop()}${textOf(rows)}${mark}\r\n`)
    this.#forget()
  }

  /** Writes a text, in words that are whole, in place of the prompt, which is below them at the next drawing. */
  say(text: string): void {
    const lines = wrapText(text, this.columns)
    this.#output.write(`${this.#toTop()}${lines.join('\r\n')}\r\n`)
    this.#forget()
  }

  /** Empties the screen, as Ctrl-L does. */
  clear(): void {
    this.#output.write(CLEAR_SCREEN)
    this.#forget()
  }

  /** The terminal has another width: many break the lines that are shown anew. */
  reflow(): void {
    const above = this.#drawn.slice(0, this.#cursorRow)
    this.#cursorRow = above.reduce((sum, row) => sum + rowsAfterReflow(row, this.columns), 0)
  }

  #toTop(): string {
    return `${this.#cursorRow > 0 ? `\u001b[${this.#cursorRow}A` : ''}\r${CLEAR_BELOW}`
  }

  #forget(): void {
    this.#drawn = []
    this.#cursorRow = 0
    this.#top = 0
  }
}

function textOf(rows: readonly Row[]): string {
  return rows.map(({ prefix, shown }) => prefix + shown.join('')).join('\r\n')
}
