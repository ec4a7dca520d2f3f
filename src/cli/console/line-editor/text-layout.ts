/**
 * How a text lies on a terminal: rows of characters that take no column, one or two. Rows are broken
 * here and not by the terminal, so that both agree where the cursor is.
 */
import stringWidth from 'string-width'
import { charactersOf } from './edit-buffer.ts'

export interface Row {
  /** What stands before the text: the prompt, or nothing in a row that the one above goes on in. */
  readonly prefix: string
  /** The text's part from `start` to `end`, as it is shown. */
  readonly shown: readonly string[]
  readonly start: number
  readonly end: number
  /** Where each character of `shown` ends in the text, and behind which column. */
  readonly ends: readonly number[]
  readonly columns: readonly number[]
}

export interface Place {
  readonly row: number
  readonly column: number
}

/** A tab has no width of its own. */
const TAB = '    '

const widths = new Map<string, number>()
/** Of characters beyond ASCII that were seen; cleared when there are too many. */
const MAX_WIDTHS = 10_000

/** Columns of a character. */
function widthOf(character: string): number {
  if (character.length === 1 && character >= ' ' && character <= '~') return 1
  let width = widths.get(character)
  if (width === undefined) {
    if (widths.size >= MAX_WIDTHS) widths.clear()
    width = stringWidth(character)
    widths.set(character, width)
  }
  return width
}

/**
 * Rows of at most `columns` columns, at least one.
 *
 * @param prompt before the first line; the others are indented by as much
 */
export function layOut(text: string, columns: number, prompt: string): Row[] {
  const rows: Row[] = []
  const indent = ' '.repeat(stringWidth(prompt))
  let start = 0
  for (const line of text.split('\n')) {
    layOutLine(line, start, columns, start === 0 ? prompt : indent, rows)
    start += line.length + 1
  }
  const last = rows[rows.length - 1]
  // A terminal keeps the cursor on a full row until the next character comes.
  if (widthAt(last, last.shown.length) >= columns) rows.push(emptyRow('', last.end))
  return rows
}

function layOutLine(
  line: string,
  start: number,
  columns: number,
  prefix: string,
  rows: Row[],
): void {
  let row = { ...emptyRow(prefix, start), shown: [] as string[] }
  let ends: number[] = []
  let behind: number[] = []
  let column = stringWidth(prefix)
  let at = start
  const finish = (): void => {
    rows.push({ ...row, end: at, ends, columns: behind })
  }
  for (const character of charactersOf(line)) {
    const shown = character === '\t' ? TAB : character
    const width = character === '\t' ? TAB.length : widthOf(character)
    if (column + width > columns && ends.length > 0) {
      finish()
      row = { ...emptyRow('', at), shown: [] }
      ends = []
      behind = []
      column = 0
    }
    column += width
    at += character.length
    row.shown.push(shown)
    ends.push(at)
    behind.push(column)
  }
  finish()
}

function emptyRow(prefix: string, start: number): Row {
  return { prefix, shown: [], start, end: start, ends: [], columns: [] }
}

/** The column behind the first `count` characters of a row. */
function widthAt(row: Row, count: number): number {
  return count === 0 ? stringWidth(row.prefix) : row.columns[count - 1]
}

/** Where an index of the text is. Between two rows it is at the beginning of the second. */
export function placeOf(rows: readonly Row[], index: number): Place {
  const row = rows.findLastIndex(({ start }) => start <= index)
  return { row, column: widthAt(rows[row], countBefore(rows[row], index)) }
}

/** The index of the text at a place, or before the character that covers it. */
export function indexAt(rows: readonly Row[], { row, column }: Place): number {
  const { start, ends, columns } = rows[row]
  const count = columns.findIndex((behind) => behind > column)
  if (count < 0) return ends.at(-1) ?? start
  return count === 0 ? start : ends[count - 1]
}

/** What is shown of a row before an index of the text. */
export function shownBefore(row: Row, index: number): string {
  return row.prefix + row.shown.slice(0, countBefore(row, index)).join('')
}

function countBefore({ ends }: Row, index: number): number {
  const count = ends.findIndex((end) => end > index)
  return count < 0 ? ends.length : count
}

/** Rows that a row takes once a terminal has made its lines shorter. */
export function rowsAfterReflow(row: Row, columns: number): number {
  return Math.max(1, Math.ceil(widthAt(row, row.shown.length) / columns))
}
