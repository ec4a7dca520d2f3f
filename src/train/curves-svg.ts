/**
 * The curves of a run as an SVG file: losses, bits per byte, rate, norm of the gradient, shares of codes, flips.
 * Light or dark as the reader has it.
 */
import type { TrainEvent } from './loop.ts'
import type { StartEvent } from './settings.ts'

export type RunEvent = TrainEvent | StartEvent
type Of<T extends RunEvent['type']> = Extract<RunEvent, { readonly type: T }>
type Point = readonly [step: number, value: number]

interface Curve {
  /** Unnamed ones are not in the legend. */
  readonly name: string
  /** A class of the style sheet. */
  readonly ink: 'a' | 'b' | 'c' | 'faint'
  readonly points: readonly Point[]
}

export interface Panel {
  readonly title: string
  readonly curves: readonly Curve[]
  readonly format?: (value: number) => string
}

const WIDTH = 340
const HEIGHT = 190
const PLOT = { left: 58, right: 12, top: 40, bottom: 24 }
const COLUMNS = 2
const TICKS = 4
/** Of a line of the legend. */
const LINE = 16
/** More points than this are drawn as means of as many stretches. */
const MOST_POINTS = 240

const STYLE =
  'svg{background:#fff}text{font:11px system-ui,sans-serif;fill:#1a1a1a}.t{font-weight:600}' +
  '.g{stroke:#dcdcdc}path{fill:none;stroke-width:1.5}.a{stroke:#1b6fb3}.b{stroke:#b35a00}.c{stroke:#6b4bb5}' +
  '.faint{stroke:#a9c4de;stroke-width:1}@media(prefers-color-scheme:dark){svg{background:#16181c}' +
  'text{fill:#ececec}.g{stroke:#3a3d44}.a{stroke:#7db7ea}.b{stroke:#f0a860}.c{stroke:#b9a3f0}.faint{stroke:#3d5670}}'

/** What holds of a run: what came behind a checkpoint that it went on from is gone. */
export function withoutRepeats(events: readonly RunEvent[]): RunEvent[] {
  let kept: RunEvent[] = []
  for (const event of events) {
    if (event.type === 'start') kept = kept.filter(({ step }) => step <= event.step)
    kept.push(event)
  }
  return kept
}

/** @param all events of a run, in their order */
export function curvesSvg(all: readonly RunEvent[]): string {
  const events = withoutRepeats(all)
  const of = <T extends RunEvent['type']>(type: T) =>
    events.filter((event): event is Of<T> => event.type === type)
  const points = <E extends RunEvent>(own: readonly E[], value: (event: E) => number | undefined) =>
    own.flatMap((event): Point[] => {
      const y = value(event)
      return y !== undefined && Number.isFinite(y) ? [[event.step, y]] : []
    })
  const [steps, heldOut, codes] = [of('step'), of('held-out'), of('codes')]
  const meanOf = (field: 'minus' | 'zero' | 'plus') =>
    points(codes, ({ layers }) => layers.reduce((sum, own) => sum + own[field], 0) / layers.length)
  const flips = codes.flatMap(({ step, flipped }, i): Point[] =>
    i === 0 || flipped === undefined
      ? []
      : [[step, flipped / Math.max(1, step - codes[i - 1].step)]],
  )
  const percent = (value: number) => `${numberText(value * 100)} %`
  const panels: Panel[] = [
    {
      title: 'Loss, nats a token',
      curves: [
        { name: 'learnt', ink: 'a', points: points(steps, ({ loss }) => loss) },
        { name: 'held out', ink: 'b', points: points(heldOut, ({ loss }) => loss) },
      ],
    },
    {
      title: 'Bits per byte',
      curves: [
        { name: 'held out', ink: 'b', points: points(heldOut, ({ bitsPerByte }) => bitsPerByte) },
      ],
    },
    {
      title: 'Learning rate',
      curves: [{ name: '', ink: 'a', points: points(steps, (own) => own.learningRate) }],
    },
    {
      title: 'Gradient norm',
      curves: [{ name: '', ink: 'a', points: points(steps, (own) => own.gradientNorm) }],
    },
    {
      title: 'Codes',
      format: percent,
      curves: [
        { name: '-1', ink: 'a', points: meanOf('minus') },
        { name: '0', ink: 'b', points: meanOf('zero') },
        { name: '+1', ink: 'c', points: meanOf('plus') },
      ],
    },
    {
      title: 'Ternary weights that change in a step',
      format: percent,
      curves: [{ name: '', ink: 'c', points: flips }],
    },
  ]
  const last = steps.at(-1)
  const about = last === undefined ? 'No step yet.' : `${last.step} of ${last.steps} steps.`
  return panelsSvg('Training run', about, panels)
}

/** @public A picture of all panels that have anything to show, described by `about` and by where curves end. */
export function panelsSvg(title: string, about: string, panels: readonly Panel[]): string {
  const drawn = panels.filter(({ curves }) => curves.some((curve) => curve.points.length > 0))
  const rows = Math.ceil(drawn.length / COLUMNS)
  const body = drawn.map((panel, i) => {
    const [x, y] = [(i % COLUMNS) * WIDTH, Math.floor(i / COLUMNS) * HEIGHT]
    return `<g transform="translate(${x} ${y})">${drawPanel(panel)}</g>`
  })
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${COLUMNS * WIDTH} ${Math.max(1, rows) * HEIGHT}" ` +
    `role="img" aria-labelledby="t d"><title id="t">${title}</title>` +
    `<desc id="d">${about} ${drawn.map(inWords).join(' ')}</desc><style>${STYLE}</style>${body.join('')}</svg>\n`
  )
}

function inWords({ title, curves, format = numberText }: Panel): string {
  const ends = curves.flatMap(({ name, points }) => {
    const [first, last] = [points[0], points.at(-1)]
    if (first === undefined || last === undefined) return []
    return `${name && `${name} `}${format(first[1])} to ${format(last[1])}`
  })
  return `${title}: ${ends.join(', ')}.`
}

function drawPanel({ title, curves, format = numberText }: Panel): string {
  const thin = curves.map((curve) => ({ ...curve, points: thinned(curve.points) }))
  const all = thin.flatMap(({ points }) => points)
  const [x0, x1] = rangeOf(all.map(([step]) => step))
  const [y0, y1] = rangeOf(all.map(([, value]) => value))
  const { left, right, bottom } = PLOT
  let legend = ''
  let [at, line] = [left, 0]
  for (const { name, ink } of thin) {
    if (name === '') continue
    const width = 34 + name.length * 7
    if (at > left && at + width > WIDTH) [at, line] = [left, line + 1]
    const base = 28 + line * LINE
    legend += `<path class="${ink}" d="M${at} ${base}h14"/><text x="${at + 18}" y="${base + 4}">${name}</text>`
    at += width
  }
  const top = PLOT.top + line * LINE
  const x = (step: number) => round(left + ((step - x0) / (x1 - x0)) * (WIDTH - left - right))
  const y = (value: number) =>
    round(HEIGHT - bottom - ((value - y0) / (y1 - y0)) * (HEIGHT - top - bottom))
  let svg = `<text class="t" x="${left}" y="16">${title}</text>${legend}`
  for (let i = 0; i <= TICKS; i++) {
    const value = y0 + ((y1 - y0) * i) / TICKS
    svg += `<path class="g" d="M${left} ${y(value)}H${WIDTH - right}"/>`
    svg += `<text x="${left - 6}" y="${y(value) + 4}" text-anchor="end">${format(value)}</text>`
  }
  for (const [step, anchor] of [
    [x0, 'start'],
    [x1, 'end'],
  ] as const) {
    svg += `<text x="${x(step)}" y="${HEIGHT - 8}" text-anchor="${anchor}">${step}</text>`
  }
  for (const { ink, points } of thin) {
    if (points.length === 0) continue
    svg += `<path class="${ink}" d="M${points.map(([step, value]) => `${x(step)} ${y(value)}`).join('L')}"/>`
  }
  return svg
}

function thinned(points: readonly Point[]): readonly Point[] {
  if (points.length <= MOST_POINTS) return points
  const mean = (own: readonly number[]) => own.reduce((sum, value) => sum + value, 0) / own.length
  return Array.from({ length: MOST_POINTS }, (_, i): Point => {
    const [from, to] = [i, i + 1].map((k) => Math.floor((k * points.length) / MOST_POINTS))
    const own = points.slice(from, to)
    return [own[own.length - 1][0], mean(own.map(([, value]) => value))]
  })
}

/** From the least to the most, never the same. */
function rangeOf(values: readonly number[]): readonly [number, number] {
  const least = values.reduce((a, b) => Math.min(a, b), Infinity)
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity)
  return most > least ? [least, most] : [least, least + (Math.abs(least) || 1)]
}

/** Three digits, short enough to stand left of a plot. */
function numberText(value: number): string {
  const isTiny = value !== 0 && Math.abs(value) < 1e-3
  return isTiny ? value.toExponential(2) : String(Number(value.toPrecision(3)))
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
