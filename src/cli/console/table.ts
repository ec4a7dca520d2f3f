/**
 * Text tables and bars of fixed width.
 */
import { columnsOf, wrapText, wrapWords } from './wrap.ts'

/** How results are printed: for people, or to be pasted into a Markdown document. */
export interface TableStyle {
  readonly markdown?: boolean | undefined
  /** Columns of the terminal. Unset: as many as it takes. */
  readonly width?: number | undefined
}

export interface Table {
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** Columns aligned to the right. */
  readonly right: readonly number[]
}

/** What reports are made of: lines of text, tables, facts, and headings. */
export type ReportPart = string | Table | readonly Fact[] | { readonly heading: string }

/** The lines of a report; blank ones are parts of it. */
export function formatReport(parts: readonly ReportPart[], style: TableStyle = {}): string[] {
  const lines = parts.flatMap((part) => {
    if (typeof part === 'string') return style.markdown ? [part] : wrapText(part, style.width)
    if ('heading' in part) {
      return style.markdown ? [`**${part.heading}**`] : wrapText(part.heading, style.width)
    }
    return 'rows' in part ? formatTable(part, style) : formatFacts(part, style)
  })
  // Names come from files; they must not steer the terminal.
  return lines.map((line) => line.replace(/\p{Cc}/gu, ' '))
}

/** A table; where it is wider than the terminal, each row over several lines. */
export function formatTable({ header, rows, right }: Table, style: TableStyle = {}): string[] {
  const { markdown, width = Number.POSITIVE_INFINITY } = style
  if (markdown) return markdownTable(header, rows, right)
  const widths = header.map((name, col) =>
    rows.reduce((most, row) => Math.max(most, columnsOf(row[col])), columnsOf(name)),
  )
  const gaps = SPACE.length * (widths.length - 1)
  if (widths.reduce((sum, wide) => sum + wide, gaps) > width) {
    return stacked(header, rows, width, namesOf(rows, right, width))
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, col) => {
        const space = ' '.repeat(widths[col] - columnsOf(cell))
        return right.includes(col) ? space + cell : cell + space
      })
      .join(SPACE)
      .trimEnd()
  return [line(header), line(widths.map((wide) => '-'.repeat(wide))), ...rows.map(line)]
}

const SPACE = '  '

/** Columns at the beginning that name a row together: those that are no numbers, if they fit a line. */
function namesOf(
  rows: readonly (readonly string[])[],
  right: readonly number[],
  width: number,
): number {
  const names = right.length === 0 ? 1 : Math.max(1, Math.min(...right))
  const doFit = rows.every((row) => columnsOf(row.slice(0, names).join(SPACE)) <= width)
  return doFit ? names : 1
}

/** Each row as its names, and below them the other cells with their titles. */
function stacked(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  width: number,
  names: number,
): string[] {
  return rows.flatMap((row) => {
    const named = row.flatMap((cell, i) =>
      cell === '' || i < names ? [] : [`${header[i]} ${cell}`.trim()],
    )
    return [row.slice(0, names).join(SPACE), ...wrapItems(named, width)]
  })
}

/** Items with commas on as few lines as hold them, set in. */
export function wrapItems(items: readonly string[], width: number): string[] {
  const indent = '    '
  const texts = items.map((item, i) => (i + 1 < items.length ? `${item},` : item))
  return wrapWords(texts, width - indent.length).flatMap((line) => wrapText(indent + line, width))
}

function markdownTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[],
): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = header.map((_, col) => (right.includes(col) ? '---:' : '---'))
  const escapeBars = (cell: string): string => cell.replaceAll('|', '\\|')
  return [line(header), line(rule), ...rows.map((row) => line(row.map(escapeBars)))]
}

/** A column, and what it shows of an item; '' where there is nothing to show. */
export interface Column<T> {
  readonly title: string
  readonly cell: (item: T) => string
}

/**
 * A row of cells for each item; a column that no item has anything for is left out.
 *
 * @param left columns at the beginning that are names, not numbers
 */
export function tableOf<T>(columns: readonly Column<T>[], items: readonly T[], left = 1): Table {
  const shown = columns.filter(({ cell }) => items.some((item) => cell(item) !== ''))
  return {
    header: shown.map(({ title }) => title),
    rows: items.map((item) => shown.map(({ cell }) => cell(item))),
    right: [...shown.keys()].slice(left),
  }
}

/** What is not known leaves its cell empty. */
export function orBlank(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? '' : format(value)
}

/** Left out where the value is undefined. */
export type Fact = readonly [name: string, value: string | undefined]

export function knownFacts(facts: readonly Fact[]): (readonly [name: string, value: string])[] {
  return facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
}

/** Lines "name   value" with the values in one column, or a list in Markdown. */
export function formatFacts(
  all: readonly Fact[],
  { markdown, width = Number.POSITIVE_INFINITY }: TableStyle = {},
): string[] {
  const facts = knownFacts(all)
  if (markdown) return facts.map(([name, value]) => `- ${name}: ${value}`)
  const names = Math.max(...facts.map(([name]) => columnsOf(name)))
  const room = width - names - SPACE.length
  return facts.flatMap(([name, value]) => {
    const lead = name + ' '.repeat(names - columnsOf(name)) + SPACE
    const indent = ' '.repeat(columnsOf(lead))
    return wrapText(value, room).map((line, i) => (i === 0 ? lead : indent) + line)
  })
}

/** A bar of `width` characters, split in proportion to the shares, one letter a share. */
export function stackedBar(
  shares: readonly number[],
  letters: readonly string[],
  width: number,
): string {
  let bar = ''
  let sum = 0
  for (const [i, share] of shares.entries()) {
    sum += share
    // Rounding the running sum, not each part, keeps the bar's length right.
    bar += letters[i].repeat(Math.max(0, Math.round(sum * width) - bar.length))
  }
  return bar
}
