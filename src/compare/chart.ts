/**
 * Charts as SVG text: bars in groups, and curves over sizes. 360 units wide, so that a phone shows them
 * without zooming; every bar and point carries its value in writing, and the chart a description.
 */

/** A text in both languages of the reports. */
export interface Bilingual {
  readonly en: string
  readonly ja: string
}

interface ChartHead {
  /** Of the file: "decode-latency". */
  readonly id: string
  readonly title: Bilingual
  /** What is drawn, and whether more or less is better. */
  readonly note: Bilingual
  /** Names of what is compared; a series keeps its colour over all charts. */
  readonly series: readonly string[]
}

export interface BarChart extends ChartHead {
  readonly kind: 'bars'
  readonly groups: readonly { readonly label: string; readonly bars: readonly Bar[] }[]
}

export interface Bar {
  readonly series: string
  readonly value: number
  /** The value with its unit. */
  readonly text: string
}

export interface CurveChart extends ChartHead {
  readonly kind: 'curves'
  /** Sizes, from left to right. */
  readonly labels: readonly string[]
  /** A value for each label, undefined where there is none. */
  readonly curves: readonly {
    readonly series: string
    readonly values: readonly (number | undefined)[]
  }[]
  readonly format: (value: number) => string
}

export type Chart = BarChart | CurveChart

export type Ink = 'text' | 'faint' | 'paper' | `series${number}`

/** Where colours come from: style sheet variables in a page, values in a file of its own. */
export type Paint = (ink: Ink) => string

const WIDTH = 360
const ROW = 20
const BAR = 14
const LABEL = 56
/** Room for a value behind the longest bar. */
const VALUE = 92
const PLOT_HEIGHT = 180
/** Width of a letter of a legend, on average. */
const LETTER = 6.2

/** Colours of series in turn; told apart by people who see no red or green, on white and on black. */
export const SERIES_COLOURS = ['#5b6b8c', '#d08a1d', '#1b87c9', '#8a5fc0'] as const

const FILE_COLOURS: Readonly<Record<string, string>> = {
  text: '#1c2430',
  faint: '#c4cad4',
  paper: '#ffffff',
}

/** For SVG files: dark on white. */
export const filePaint: Paint = (ink) => FILE_COLOURS[ink] ?? SERIES_COLOURS[Number(ink.slice(6))]

export interface DrawOptions {
  /** Draws the title too, for a file that stands alone. */
  readonly withTitle?: boolean
  readonly language?: keyof Bilingual
}

export function drawChart(
  chart: Chart,
  paint: Paint,
  { withTitle = false, language = 'en' }: DrawOptions = {},
): string {
  const title = chart.title[language]
  const note = chart.note[language]
  const top = withTitle ? 44 : 4
  const legend = drawLegend(chart, paint, top + 12)
  const body =
    chart.kind === 'bars'
      ? drawBars(chart, paint, legend.end + 16)
      : drawCurves(chart, paint, legend.end + 28)
  const heading = withTitle
    ? text(8, 18, title, paint('text'), 'font-size="14" font-weight="600"') +
      text(8, 35, note, paint('text'), 'font-size="10"')
    : ''
  const background = withTitle
    ? `<rect width="${WIDTH}" height="${body.end}" fill="${paint('paper')}"/>`
    : ''
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${body.end}" role="img" ` +
    `aria-labelledby="${chart.id}-t ${chart.id}-d" font-family="system-ui, sans-serif" ` +
    `font-size="11"><title id="${chart.id}-t">${escapeXml(title)}</title>` +
    `<desc id="${chart.id}-d">${escapeXml(`${note} ${inWords(chart)}`)}</desc>` +
    `${background}${heading}${legend.svg}${body.svg}</svg>`
  )
}

/** The chart in words, for those who hear it. */
function inWords(chart: Chart): string {
  const lines =
    chart.kind === 'bars'
      ? chart.groups.map(
          ({ label, bars }) =>
            `${label}: ${bars.map(({ series, text: value }) => `${series} ${value}`).join(', ')}`,
        )
      : chart.curves.map(({ series, values }) => {
          const points = values.flatMap((value, i) =>
            value === undefined ? [] : [`${chart.labels[i]} ${chart.format(value)}`],
          )
          return `${series}: ${points.join(', ')}`
        })
  return `${lines.join('. ')}.`
}

interface Drawn {
  readonly svg: string
  /** The next free line. */
  readonly end: number
}

function drawBars({ groups, series }: BarChart, paint: Paint, start: number): Drawn {
  const most = Math.max(...groups.flatMap(({ bars }) => bars.map(({ value }) => value)))
  const room = WIDTH - LABEL - VALUE
  let y = start
  let svg = ''
  for (const { label, bars } of groups) {
    svg += text(8, y + BAR - 3, label, paint('text'), 'font-weight="600"')
    for (const bar of bars) {
      const width = Math.max(1, (bar.value / most) * room)
      svg += `<rect x="${LABEL}" y="${y}" width="${round(width)}" height="${BAR}" rx="2" fill="${paint(inkOf(series, bar.series))}"/>`
      svg += text(LABEL + round(width) + 5, y + BAR - 3, bar.text, paint('text'))
      y += ROW
    }
    y += 8
  }
  return { svg, end: y + 4 }
}

function drawCurves(chart: CurveChart, paint: Paint, top: number): Drawn {
  const { labels, curves, series, format } = chart
  const most = Math.max(...curves.flatMap(({ values }) => values.map((value) => value ?? 0)))
  const bottom = top + PLOT_HEIGHT
  const x = (i: number) =>
    round(30 + (labels.length < 2 ? 0.5 : i / (labels.length - 1)) * (WIDTH - 60))
  const y = (value: number) => round(bottom - (value / most) * PLOT_HEIGHT)
  let svg = `<path d="M20 ${bottom}H${WIDTH - 20}" stroke="${paint('faint')}"/>`
  for (const [i, label] of labels.entries()) {
    svg += text(x(i), bottom + 16, label, paint('text'), 'text-anchor="middle"')
  }
  for (const [turn, { series: name, values }] of curves.entries()) {
    const colour = paint(inkOf(series, name))
    const points = values.flatMap((value, i) => (value === undefined ? [] : [{ i, value }]))
    const path = points.map(({ i, value }) => `${x(i)} ${y(value)}`).join('L')
    if (path === '') continue
    // Dashes tell every second curve apart without colours.
    const dash = turn % 2 === 1 ? ' stroke-dasharray="5 4"' : ''
    svg += `<path d="M${path}" fill="none" stroke="${colour}" stroke-width="2"${dash}/>`
    for (const { i, value } of points) {
      svg += `<circle cx="${x(i)}" cy="${y(value)}" r="3.5" fill="${colour}"/>`
      const above = turn % 2 === 0 ? -8 : 16
      svg += text(x(i), y(value) + above, format(value), paint('text'), 'text-anchor="middle"')
    }
  }
  return { svg, end: bottom + 26 }
}

/** What the chart shows, in its colours; on as many lines as the names take. */
function drawLegend(chart: Chart, paint: Paint, start: number): Drawn {
  const shown =
    chart.kind === 'bars'
      ? chart.groups.flatMap(({ bars }) => bars.map(({ series }) => series))
      : chart.curves
          .filter(({ values }) => values.some((value) => value !== undefined))
          .map(({ series }) => series)
  let [x, y, svg] = [8, start, '']
  for (const name of chart.series.filter((one) => shown.includes(one))) {
    const width = 30 + name.length * LETTER
    if (x > 8 && x + width > WIDTH) [x, y] = [8, y + ROW]
    svg += `<rect x="${x}" y="${y - 9}" width="10" height="10" rx="2" fill="${paint(inkOf(chart.series, name))}"/>`
    svg += text(x + 14, y, shortened(name), paint('text'))
    x += width
  }
  return { svg, end: y }
}

/** Names of models may be paths; their end tells more than their beginning. */
function shortened(name: string): string {
  const most = Math.floor((WIDTH - 30) / LETTER)
  return name.length <= most ? name : `…${name.slice(1 - most)}`
}

function inkOf(series: readonly string[], name: string): Ink {
  return `series${Math.max(0, series.indexOf(name)) % SERIES_COLOURS.length}`
}

function text(x: number, y: number, content: string, fill: string, more = ''): string {
  return `<text x="${x}" y="${y}" fill="${fill}"${more && ` ${more}`}>${escapeXml(content)}</text>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

export function escapeXml(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
