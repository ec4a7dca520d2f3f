/**
 * What speed tests gave: the object that --json prints, and facts and a table for people.
 */
import type { ModelCosts } from '../../../bench/costs.ts'
import type { ArithmeticEnergy } from '../../../bench/energy.ts'
import type { MachineLimits } from '../../../bench/machine-limits.ts'
import type { SpeedTestReport } from '../../../bench/speed-report.ts'
import type { BackendReport } from '../../../generate/options.ts'
import type { ImageReport } from '../../../model/weights/weight-images.ts'
import type { EnergyMeter } from '../../../node/energy/energy-meter.ts'
import type { HostFacts } from '../../console/host-facts.ts'
import {
  formatByteRate,
  formatBytes,
  formatJoules,
  formatMacRate,
  formatPercent,
  formatSpread,
} from '../../console/quantities.ts'
import { formatFacts, formatResults, type TableStyle } from '../../console/table.ts'
import { limitFacts } from './bench-kernels.ts'
import { loadFact } from './speed-report-file.ts'

/** What ran, as far as the results depend on it. */
export interface RunningModel {
  readonly name: string
  readonly loadMs: number
  readonly image?: ImageReport
  readonly backend: BackendReport
  /** Precision of the head, of the KV cache, and packing of the ternary weights. */
  readonly head: string
  readonly kv: string
  readonly weights: string
  readonly costs: ModelCosts
}

export interface SpeedReport extends RunningModel {
  readonly host: HostFacts
  readonly runs: number
  /** Absent on the reference backend. */
  readonly limits?: MachineLimits
  readonly tests: readonly SpeedTestReport[]
  /** Largest resident set of the process while the tests ran. */
  readonly peakMemoryBytes: number
  /** Of the last minute, at the end. */
  readonly loadAverageAfter: number
  readonly energy: EnergyReport
}

export interface EnergyReport {
  readonly measured: EnergyMeter['counted']
  /** The papers' arithmetic for one token of the first test: no measurement. */
  readonly estimates: readonly ArithmeticEnergy[]
}

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
  {
    title: 'memory',
    cell: optional(({ memoryBytesPerSecond }) => memoryBytesPerSecond, formatByteRate),
  },
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
    ...formatFacts(
      [
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
      ],
      style,
    ),
    '',
    ...formatResults(
      columns.map(({ title }) => title),
      tests.map((test) => columns.map(({ cell }) => cell(test))),
      columns.map((_, i) => i).slice(1),
      style,
    ),
    '',
    ...formatFacts(
      [
        ['load time', loadFact(report.loadMs, report.image)],
        [
          'a pass reads',
          `${formatBytes(costs.ternaryBytes)} of ternary weights, ${formatBytes(costs.headBytes)} of ` +
            `head, ${formatBytes(costs.denseBytes)} of other weights, and ` +
            `${formatBytes(costs.cacheBytesPerToken)} for each position in the cache`,
        ],
        ['peak memory', `${formatBytes(report.peakMemoryBytes)} of the whole process`],
        ...energyFacts(report.energy),
      ],
      style,
    ),
  ]
}

function energyFacts({ measured, estimates }: EnergyReport): (readonly [string, string])[] {
  const source =
    'reason' in measured
      ? `not measured: ${measured.reason}`
      : `measured: ${measured.counters}, whatever else runs included`
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
