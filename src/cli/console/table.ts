/**
 * Text tables and bars of fixed width. Characters of Chinese, Japanese and Korean take two columns.
 */

const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff01-\uff60]/gu

/** Columns of a terminal that a text takes. */
function columnsOf(text: string): number {
  return [...text].length + (text.match(WIDE)?.length ?? 0)
}

/** Lines of a table; columns named in `right` are aligned to the right. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string[] {
  const all = [header, ...rows]
  // One by one: a call takes some ten thousand values at most.
  const widths = header.map((_, col) =>
    all.reduce((widest, row) => Math.max(widest, columnsOf(row[col])), 0),
  )
  const line = (row: readonly string[]): string =>
    row
      .map((cell, col) => {
        const space = ' '.repeat(widths[col] - columnsOf(cell))
        return right.includes(col) ? space + cell : cell + space
      })
      .join('  ')
      .trimEnd()
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)]
}

/** How results are printed: for people, or to be pasted into a Markdown document. */
export interface TableStyle {
  readonly markdown?: boolean
}

/** A table in the style asked for. */
export function formatResults(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[],
  { markdown }: TableStyle,
): string[] {
  if (!markdown) return formatTable(header, rows, right)
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

export interface Table {
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** Columns aligned to the right. */
  readonly right: readonly number[]
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
export function formatFacts(all: readonly Fact[], { markdown }: TableStyle = {}): string[] {
  const facts = knownFacts(all)
  if (markdown) return facts.map(([name, value]) => `- ${name}: ${value}`)
  const width = Math.max(...facts.map(([name]) => name.length))
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`)
}

/** Facts and tables, in the style asked for, with a blank line between them. */
export function formatReport(
  parts: readonly (readonly Fact[] | Table)[],
  style: TableStyle,
): string[] {
  return parts.flatMap((part, i) => [
    ...(i === 0 ? [] : ['']),
    ...('rows' in part
      ? formatResults(part.header, part.rows, part.right, style)
      : formatFacts(part, style)),
  ])
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
