/**
 * What speed tests gave, as facts and a table for people.
 */
import type { SpeedTestReport } from '../bench/speed-report.ts'
import { limitFacts } from './bench-kernels.ts'
import type { EnergyReport, SpeedReport } from './bench-speed.ts'
import {
  formatByteRate,
  formatBytes,
  formatJoules,
  formatMacRate,
  formatMilliseconds,
  formatPercent,
  formatSpread,
} from './quantities.ts'
import { formatFacts, formatResults, type TableStyle } from './table.ts'

/** A column and what it shows of a test; '' where the test has nothing to show. */
interface Column {
  readonly title: string
  readonly cell: (test: SpeedTestReport) => string
}

const COLUMNS: readonly Column[] = [
  { title: 'test', cell: ({ name }) => name },
  { title: 'tokens/s', cell: ({ tokensPerSecond }) => formatSpread(tokensPerSecond) },
  { title: 'bytes/token', cell: optional(({ bytesPerToken }) => bytesPerToken, formatBytes) },
  { title: 'reads', cell: optional(({ bytesPerSecond }) => bytesPerSecond, formatByteRate) },
  { title: 'of memory', cell: optional(({ shareOfMemory }) => shareOfMemory, formatPercent) },
  { title: 'multiply-adds', cell: optional(({ macsPerSecond }) => macsPerSecond, formatMacRate) },
  { title: 'of peak', cell: optional(({ shareOfPeak }) => shareOfPeak, formatPercent) },
  {
    title: 'energy/token',
    cell: optional(({ joulesPerToken }) => joulesPerToken?.mean, formatJoules),
  },
]

function optional(
  value: (test: SpeedTestReport) => number | undefined,
  format: (value: number) => string,
): Column['cell'] {
  return (test) => {
    const found = value(test)
    return found === undefined ? '' : format(found)
  }
}

export function describeSpeed(report: SpeedReport, style: TableStyle): string[] {
  const { host, costs, tests } = report
  // A column that no test has anything for is left out.
  const columns = COLUMNS.filter(({ cell }) => tests.some((test) => cell(test) !== ''))
  return [
    ...formatFacts([
      ['model', report.name],
      ['backend', report.backend.description],
      ['precision', `weights ${report.weights}, head ${report.head}, KV cache ${report.kv}`],
      ['machine', host.cpu],
      ...limitFacts(report.limits),
      [
        'load',
        `${host.loadAverage.toFixed(2)} before, ${report.loadAverageAfter.toFixed(2)} after`,
      ],
      ['runs', `${report.runs} of each test, after a warm-up that is not counted`],
    ]),
    '',
    ...formatResults(
      columns.map(({ title }) => title),
      tests.map((test) => columns.map(({ cell }) => cell(test))),
      columns.map((_, i) => i).slice(1),
      style,
    ),
    '',
    ...formatFacts([
      ['load time', formatMilliseconds(report.loadMs)],
      [
        'a pass reads',
        `${formatBytes(costs.ternaryBytes)} of ternary weights, ${formatBytes(costs.headBytes)} of ` +
          `head, ${formatBytes(costs.denseBytes)} of other weights, and ` +
          `${formatBytes(costs.cacheBytesPerToken)} for each position in the cache`,
      ],
      ['peak memory', `${formatBytes(report.peakMemoryBytes)} of the whole process`],
      ...energyFacts(report.energy),
    ]),
  ]
}

function energyFacts({ measured, estimates }: EnergyReport): (readonly [string, string])[] {
  const source =
    'reason' in measured
      ? `not measured: ${measured.reason}`
      : `measured for the whole machine's ${measured.counters}`
  const parts = estimates.map(
    ({ technology, joulesPerToken, fp16JoulesPerToken }) =>
      `${formatJoules(joulesPerToken)} at ${technology.replace('nm', ' nm')} ` +
      `(all in fp16: ${formatJoules(fp16JoulesPerToken)})`,
  )
  return [
    ['energy', source],
    ['estimate', `arithmetic of a token alone, without memory, by the papers: ${parts.join(', ')}`],
  ]
}
