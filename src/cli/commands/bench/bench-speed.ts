/**
 * `bitnet bench` with tests (--prefill, --decode, --depth, --batch): drives the engine with random
 * tokens and says what the speeds mean on this machine.
 */

import { loadavg } from 'node:os'
import { costsOf } from '../../../bench/costs.ts'
import { energyEstimates } from '../../../bench/energy.ts'
import { measureLimits } from '../../../bench/machine-limits.ts'
import { meanPositions, reportSpeedTest } from '../../../bench/speed-report.ts'
import {
  checkSpeedTests,
  planSpeedTests,
  runSpeedTests,
  type SpeedTest,
} from '../../../bench/speed-tests.ts'
import { openWeightReader } from '../../../bench/weight-reads.ts'
import type { LoadedEngine } from '../../../generate/load/loading.ts'
import type { ImageReport } from '../../../model/weights/weight-images.ts'
import { type EnergySource, openEnergyMeter } from '../../../node/energy/energy-meter.ts'
import type { CommandContext } from '../../command-context.ts'
import { hostFacts } from '../../console/host-facts.ts'
import type { TableStyle } from '../../console/table.ts'
import type { ModelFlags } from '../../flags/load-flags.ts'
import { describeSpeed, type RunningModel, type SpeedReport } from './bench-speed-report.ts'

export interface SpeedBenchFlags extends ModelFlags, TableStyle {
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

export async function benchSpeed(flags: SpeedBenchFlags, context: CommandContext): Promise<void> {
  const host = hostFacts()
  await using engine = await context.loadEngine(flags)
  const { decoder, backend } = engine
  const { signal, status } = context
  // Writing an image would take from what is measured.
  const image = await engine.kept
  const tests = plannedTests(flags)
  checkSpeedTests(tests, decoder)
  const runs = flags.runs ?? DEFAULT_RUNS
  using meter = await openEnergyMeter(flags.energy ?? 'cpu')
  const { readJoules } = meter
  const onStep = (what: string): void => status.show(what)
  using reader = await openWeightReader(backend, engine.weights)
  const readRate = reader?.measure
  const options = { runs, readJoules, readRate, signal, onStep }
  const measured = await runSpeedTests(decoder, tests, options)
  // Before the limits are measured: their memory is not the model's.
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024
  status.show('Measuring memory and arithmetic')
  const limits = await measureLimits(backend)
  const model = describeModel(engine, image)
  const report: SpeedReport = {
    ...model,
    host,
    runs,
    ...(limits === undefined ? {} : { limits }),
    tests: measured.map((test) => reportSpeedTest(test, model.costs, limits)),
    peakMemoryBytes,
    loadAverageAfter: loadavg()[0],
    energy: {
      measured: meter.counted,
      estimates: energyEstimates(model.costs, meanPositions(tests[0])),
    },
  }
  await context.print(report, () => describeSpeed(report, flags))
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

function describeModel(
  { decoder, weights, backend, loadMs }: LoadedEngine,
  image: ImageReport | undefined,
): RunningModel {
  const linear = weights.layers.at(0)?.qkv
  return {
    name: decoder.config.name,
    loadMs,
    ...(image && { image }),
    backend: {
      name: backend.name,
      isa: backend.isa,
      threads: backend.threads,
      description: backend.description,
    },
    head: weights.head.type,
    kv: decoder.cacheType,
    weights: linear?.kind === 'ternary' ? (linear.matrix.packing ?? '2bit') : 'dense',
    costs: costsOf(decoder.config, weights, decoder.cacheBytesPerToken),
  }
}
