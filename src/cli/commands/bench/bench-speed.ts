/**
 * `bitnet bench` with tests (--prefill, --decode, --depth, --batch): drives the engine with random
 * tokens and says what the speeds mean on this machine.
 */

import { loadavg } from 'node:os'
import { costsOf } from '../../../bench/costs.ts'
import { energyEstimates } from '../../../bench/energy.ts'
import { measureLimits } from '../../../bench/machine-limits.ts'
import {
  meanPositions,
  reportSpeedTest,
  type SpeedTestReport,
} from '../../../bench/speed-report.ts'
import {
  checkSpeedTests,
  planSpeedTests,
  runSpeedTests,
  type SpeedTest,
} from '../../../bench/speed-tests.ts'
import { openWeightReader } from '../../../bench/weight-reads.ts'
import type { LoadedEngine } from '../../../generate/load/loading.ts'
import { type FfnZeros, meanFfnZeros, measureFfnZeros } from '../../../model/ffn-zeros.ts'
import type { DecoderWeights } from '../../../model/forward.ts'
import { type EnergySource, openEnergyMeter } from '../../../node/energy/energy-meter.ts'
import type { CommandContext } from '../../command-context.ts'
import { bytesBeyondCaches, hostFacts } from '../../console/host-facts.ts'
import {
  cacheNote,
  energyFact,
  limitFacts,
  loadFact,
  machineLoad,
} from '../../console/measurement-facts.ts'
import {
  formatByteRate,
  formatBytes,
  formatJoules,
  formatMacRate,
  formatMilliseconds,
  formatPercent,
  formatShare,
  formatSpread,
} from '../../console/quantities.ts'
import {
  type Column,
  type Fact,
  orBlank,
  type ReportPart,
  type TableStyle,
  tableOf,
} from '../../console/table.ts'
import { openRandomEngine, type RandomModelFlags } from './random-engine.ts'

export interface SpeedBenchFlags extends RandomModelFlags, TableStyle {
  readonly prefill?: readonly number[]
  readonly decode?: readonly number[]
  readonly depth?: readonly number[]
  readonly batch?: readonly number[]
  /** Unset: cpu. */
  readonly energy?: EnergySource
  /** Unset: 5. */
  readonly runs?: number
}

const DEFAULT_RUNS = 5
/** As llama-bench has them, for where only depths or batches are asked for. */
const DEFAULT_PREFILL = [512]
const DEFAULT_DECODE = [128]

const COLUMNS: readonly Column<SpeedTestReport>[] = [
  { title: 'test', cell: ({ name }) => name },
  { title: 'tokens/s', cell: ({ tokensPerSecond }) => formatSpread(tokensPerSecond) },
  { title: 'bytes/token', cell: (test) => orBlank(test.bytesPerToken, formatBytes) },
  { title: 'reads', cell: (test) => orBlank(test.bytesPerSecond, formatByteRate) },
  { title: 'memory', cell: (test) => orBlank(test.memoryBytesPerSecond, formatByteRate) },
  { title: 'of memory', cell: (test) => orBlank(test.shareOfMemory, formatShare) },
  { title: 'multiply-adds', cell: (test) => orBlank(test.macsPerSecond, formatMacRate) },
  { title: 'of peak', cell: (test) => orBlank(test.shareOfPeak, formatPercent) },
  { title: 'dispatches', cell: ({ dispatches }) => orBlank(dispatches, (n) => n.toFixed(0)) },
  { title: 'device/token', cell: (test) => orBlank(test.deviceSecondsPerToken, formatDeviceTime) },
  { title: 'energy/token', cell: (test) => orBlank(test.joulesPerToken?.mean, formatJoules) },
]

function formatDeviceTime(seconds: number): string {
  return `${(seconds * 1e6).toFixed(1)} us`
}

export async function benchSpeed(flags: SpeedBenchFlags, context: CommandContext): Promise<void> {
  const report = await measure(flags, context)
  await context.print(report, () => describeSpeed(report))
}

/** What --json prints. */
export type SpeedReport = Awaited<ReturnType<typeof measure>>

async function measure(flags: SpeedBenchFlags, context: CommandContext) {
  const host = hostFacts()
  const { size } = flags
  await using engine =
    size === undefined
      ? await context.loadEngine(flags)
      : await openRandomEngine(size, flags, context)
  const { decoder, backend, weights, loadMs } = engine
  const { signal, status } = context
  // Writing an image would take from what is measured.
  const image = await engine.kept
  const tests = plannedTests(flags)
  checkSpeedTests(tests, decoder)
  const runs = flags.runs ?? DEFAULT_RUNS
  using meter = await openEnergyMeter(flags.energy ?? 'cpu')
  const { readJoules } = meter
  const onStep = (what: string): void => status.show(what)
  using reader = await openWeightReader(backend, weights)
  const readRate = reader?.measure
  const watch = backend.watch?.bind(backend)
  const options = { runs, readJoules, readRate, watch, signal, onStep }
  const measured = await runSpeedTests(decoder, tests, options)
  // Before the limits are measured: their memory is not the model's.
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024
  status.show('Measuring memory and arithmetic')
  // A device has caches of its own, all of them smaller than what is read where nothing is said.
  const readBytes = watch ? undefined : bytesBeyondCaches()
  const limits = await measureLimits(backend, readBytes === undefined ? {} : { readBytes })
  const costs = costsOf(decoder.config, weights, decoder.cacheBytesPerToken)
  const leavesZerosOut = weights.layers.some(
    ({ down }) => 'order' in down.matrix && down.matrix.order === 'columns',
  )
  const linear = weights.layers.at(0)?.qkv
  const { name, isa, threads, description } = backend
  return {
    name: decoder.config.name,
    loadMs,
    image,
    backend: { name, isa, threads, description },
    /** Precision of the head, of the KV cache, and packing of the ternary weights. */
    head: weights.head.type,
    kv: decoder.cacheType,
    weights: linear?.kind === 'ternary' ? (linear.matrix.packing ?? '2bit') : 'dense',
    /** Whether the feed-forward leaves out what is 0: shares of memory count all bytes nevertheless. */
    leavesZerosOut,
    /** Mean shares of the layers, of random tokens. */
    ffnZeros: leavesZerosOut ? await meanZeros(engine, signal) : null,
    /** Of random weights, which have no file. */
    size: size ?? null,
    costs,
    host,
    runs,
    /** Undefined on the reference backend. */
    limits,
    tests: measured.map((test) => reportSpeedTest(test, costs, limits)),
    /** Largest resident set of the process while the tests ran. */
    peakMemoryBytes,
    loadAverageAfter: loadavg()[0],
    energy: {
      measured: meter.counted,
      /** The papers' arithmetic for one token of the first test: no measurement. */
      estimates: energyEstimates(costs, meanPositions(tests[0])),
    },
  }
}

function plannedTests({ prefill, decode, depth = [0], batch }: SpeedBenchFlags): SpeedTest[] {
  const isNeither = prefill === undefined && decode === undefined
  // A batch is of sequences that are decoded.
  const isDecode = isNeither || batch !== undefined
  return planSpeedTests({
    prefill: prefill ?? (isNeither && batch === undefined ? DEFAULT_PREFILL : []),
    decode: decode ?? (isDecode ? DEFAULT_DECODE : []),
    depth,
    batch: batch ?? [1],
  })
}

/** Tokens by which zeros are counted. */
const COUNTED_TOKENS = 64

async function meanZeros(
  {
    backend,
    decoder,
    weights,
  }: Pick<LoadedEngine, 'backend' | 'decoder'> & { readonly weights: DecoderWeights },
  signal: AbortSignal,
): Promise<Omit<FfnZeros, 'layer'>> {
  const { config } = decoder
  const step = Math.max(1, Math.floor(config.vocabSize / COUNTED_TOKENS))
  const tokens = Array.from({ length: COUNTED_TOKENS }, (_, i) => (i * step) % config.vocabSize)
  return meanFfnZeros(await measureFfnZeros(backend, config, weights, tokens, signal))
}

function zerosFact({ gates, inputs }: Omit<FfnZeros, 'layer'>): Fact {
  return [
    'left out',
    `what is 0 in the feed-forward, of single random tokens ${formatPercent(gates)} of the rows of up and ` +
      `${formatPercent(inputs)} of the columns of down; shares of memory are of all bytes nevertheless, ` +
      'and may exceed 100 %',
  ]
}

/** What the last columns are, where there is a device that has them. */
function deviceFact(tests: readonly SpeedTestReport[]): Fact[] {
  if (tests.every(({ dispatches }) => dispatches === undefined)) return []
  const isTimed = tests.some(({ deviceSecondsPerToken }) => deviceSecondsPerToken !== undefined)
  const time = isTimed
    ? "device/token: its passes' time by timestamps of the GPU"
    : 'the GPU has no timestamps (the feature timestamp-query), so that only dispatches are told'
  return [['device', `dispatches: of a pass of decoding, or of the prompt; ${time}`]]
}

function describeSpeed(report: SpeedReport): ReportPart[] {
  const { host, costs, tests, energy } = report
  const [ternary, head, other, position] = [
    costs.ternaryBytes,
    costs.headBytes,
    costs.denseBytes,
    costs.cacheBytesPerToken,
  ].map(formatBytes)
  const estimates = energy.estimates.map(
    ({ technology, joulesPerToken, fp16JoulesPerToken }) =>
      `${formatJoules(joulesPerToken)} at ${technology.replace('nm', ' nm')} ` +
      `(all in fp16: ${formatJoules(fp16JoulesPerToken)})`,
  )
  const before: Fact[] = [
    ['model', report.name],
    ['backend', report.backend.description],
    ['precision', `weights ${report.weights}, head ${report.head}, KV cache ${report.kv}`],
    ...(report.ffnZeros ? [zerosFact(report.ffnZeros)] : []),
    ['machine', host.cpu],
    ...limitFacts(report.limits),
    machineLoad(report),
    ['runs', `${report.runs} of each test, after a warm-up that is not counted`],
  ]
  const after: Fact[] = [
    report.size === null
      ? ['load time', loadFact(report.loadMs, report.image)]
      : ['weights', `random numbers, made in ${formatMilliseconds(report.loadMs)}`],
    [
      'a pass reads',
      `${ternary} of ternary weights, ${head} of head, ${other} of other weights, and ${position} ` +
        'for each position in the cache',
    ],
    ['peak memory', `${formatBytes(report.peakMemoryBytes)} of the whole process`],
    ...deviceFact(tests),
    energyFact(energy.measured),
    [
      'estimate',
      `arithmetic of a token alone, without memory, by the papers: ${estimates.join(', ')}`,
    ],
  ]
  const note = cacheNote(tests.map(({ shareOfMemory = 0 }) => shareOfMemory))
  return [before, '', tableOf(COLUMNS, tests), ...note, '', after]
}
