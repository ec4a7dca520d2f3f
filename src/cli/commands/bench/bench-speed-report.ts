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
import {
  energyFact,
  limitFacts,
  loadFact,
  type MeasuredOn,
  machineLoad,
} from '../../console/measurement-facts.ts'
import {
  formatByteRate,
  formatBytes,
  formatJoules,
  formatMacRate,
  formatPercent,
  formatSpread,
} from '../../console/quantities.ts'
import {
  type Column,
  type Fact,
  formatFacts,
  formatResults,
  orBlank,
  type TableStyle,
  tableOf,
} from '../../console/table.ts'

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

export interface SpeedReport extends RunningModel, MeasuredOn {
  readonly runs: number
  /** Absent on the reference backend. */
  readonly limits?: MachineLimits
  readonly tests: readonly SpeedTestReport[]
  /** Largest resident set of the process while the tests ran. */
  readonly peakMemoryBytes: number
  readonly energy: EnergyReport
}

export interface EnergyReport {
  readonly measured: EnergyMeter['counted']
  /** The papers' arithmetic for one token of the first test: no measurement. */
  readonly estimates: readonly ArithmeticEnergy[]
}

const COLUMNS: readonly Column<SpeedTestReport>[] = [
  { title: 'test', cell: ({ name }) => name },
  { title: 'tokens/s', cell: ({ tokensPerSecond }) => formatSpread(tokensPerSecond) },
  { title: 'bytes/token', cell: (test) => orBlank(test.bytesPerToken, formatBytes) },
  { title: 'reads', cell: (test) => orBlank(test.bytesPerSecond, formatByteRate) },
  { title: 'memory', cell: (test) => orBlank(test.memoryBytesPerSecond, formatByteRate) },
  { title: 'of memory', cell: (test) => orBlank(test.shareOfMemory, formatPercent) },
  { title: 'multiply-adds', cell: (test) => orBlank(test.macsPerSecond, formatMacRate) },
  { title: 'of peak', cell: (test) => orBlank(test.shareOfPeak, formatPercent) },
  { title: 'energy/token', cell: (test) => orBlank(test.joulesPerToken?.mean, formatJoules) },
]

export function describeSpeed(report: SpeedReport, style: TableStyle): string[] {
  const { host, costs, tests } = report
  const { header, rows } = tableOf(COLUMNS, tests)
  return [
    ...formatFacts(
      [
        ['model', report.name],
        ['backend', report.backend.description],
        ['precision', `weights ${report.weights}, head ${report.head}, KV cache ${report.kv}`],
        ['machine', host.cpu],
        ...limitFacts(report.limits),
        machineLoad(report),
        ['runs', `${report.runs} of each test, after a warm-up that is not counted`],
      ],
      style,
    ),
    '',
    ...formatResults(header, rows, [...header.keys()].slice(1), style),
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

function energyFacts({ measured, estimates }: EnergyReport): Fact[] {
  const parts = estimates.map(
    ({ technology, joulesPerToken, fp16JoulesPerToken }) =>
      `${formatJoules(joulesPerToken)} at ${technology.replace('nm', ' nm')} ` +
      `(all in fp16: ${formatJoules(fp16JoulesPerToken)})`,
  )
  return [
    energyFact(measured),
    ['estimate', `arithmetic of a token alone, without memory, by the papers: ${parts.join(', ')}`],
  ]
}
